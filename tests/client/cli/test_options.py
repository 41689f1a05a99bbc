"""The options that every command shares."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import grpc
import pytest
import trustme
from click.testing import CliRunner, Result
from flatdense_client import Tls, Unauthenticated
from flatdense_client.cli.options import Connection, connection_options
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server


@click.command()
@connection_options
def _show(connection: Connection) -> None:
    click.echo(f"{connection.model_version} {connection.model_label}")


def _run(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(_show, arguments, env=variables)


@pytest.mark.parametrize(
    ("arguments", "variables", "chosen"),
    [
        ([], {}, "None None"),
        (["--model-version", "3"], {}, "3 None"),
        (["--model-label", "canary"], {}, "None canary"),
        ([], {"FLATDENSE_MODEL_LABEL": "stable"}, "None stable"),
        (["--model-version", "3"], {"FLATDENSE_MODEL_LABEL": ""}, "3 None"),
    ],
)
def test_a_version_or_a_label_or_neither(
    arguments: list[str], variables: dict[str, str], chosen: str
) -> None:
    """The command line and the environment choose; an empty variable is none."""
    done = _run(*arguments, **variables)
    assert (done.exit_code, done.output) == (0, f"{chosen}\n")


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        (
            ["--model-version", "3", "--model-label", "canary"],
            {},
            "--model-version and --model-label exclude",
        ),
        (
            ["--model-label", "canary", "--model-version", "3"],
            {},
            "--model-version and --model-label exclude",
        ),
        (
            ["--model-label", "canary"],
            {"FLATDENSE_MODEL_VERSION": "3"},
            "FLATDENSE_MODEL_VERSION and --model-label exclude",
        ),
        (
            [],
            {"FLATDENSE_MODEL_VERSION": "3", "FLATDENSE_MODEL_LABEL": "canary"},
            "FLATDENSE_MODEL_VERSION and FLATDENSE_MODEL_LABEL exclude",
        ),
        (["--model-label", ""], {}, "'' is no label: expected a name"),
        (["--model-version", "9223372036854775808"], {}, "9223372036854775808 is no version"),
        (["--model-version", "0"], {}, "0 is not in the range"),
    ],
)
def test_a_choice_that_makes_no_sense_is_wrong_usage(
    arguments: list[str], variables: dict[str, str], told: str
) -> None:
    """A version beside a label, and a value that is neither, is exit code 2 and says why."""
    done = _run(*arguments, **variables)
    assert done.exit_code == 2
    assert told in done.output


@pytest.fixture
def secured() -> Iterator[tuple[str, bytes]]:
    """A server that wants TLS and the token `good`: its address, and who vouches for it."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")

    class Doorkeeper(HealthServicer):
        """Is healthy, for those who may know."""

        def Check(  # noqa: N802  # gRPC's name
            self, request: HealthCheckRequest, context: grpc.ServicerContext
        ) -> HealthCheckResponse:
            """Answers, or asks for the token."""
            if ("authorization", "Bearer good") not in tuple(context.invocation_metadata()):
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
            return super().Check(request, context)

    health = Doorkeeper()
    health.set("flatdense.v1.Classifier", HealthCheckResponse.SERVING)
    server = grpc.server(ThreadPoolExecutor(2))
    add_HealthServicer_to_server(health, server)
    chain = b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
    pair = (certificate.private_key_pem.bytes(), chain)
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    yield f"127.0.0.1:{port}", authority.cert_pem.bytes()
    server.stop(None).wait()


@click.command()
@connection_options
def _ask(connection: Connection) -> None:
    """Whether the server is ready."""
    with connection.open() as client:
        click.echo(client.ready())


def test_a_secured_server_is_reached(secured: tuple[str, bytes], tmp_path: Path) -> None:
    """`--ca` and `--token-file`, or the environment, say what it takes."""
    address, pem = secured
    (tmp_path / "ca.pem").write_bytes(pem)
    (tmp_path / "token").write_text("good\n")
    ca, token = str(tmp_path / "ca.pem"), str(tmp_path / "token")
    for arguments, variables in (
        (["--ca", ca, "--token-file", token], {}),
        (["--ca", ca], {"FLATDENSE_TOKEN": "good"}),
        (["--token-file", token], {"FLATDENSE_CA": ca, "FLATDENSE_TOKEN": "bad"}),
    ):
        done = CliRunner().invoke(_ask, ["--server", address, *arguments], env=variables)
        assert (done.exit_code, done.output) == (0, "True\n")
    done = CliRunner().invoke(_ask, ["--server", address, "--ca", ca])
    assert isinstance(done.exception, Unauthenticated)
    done = CliRunner().invoke(_ask, ["--server", address])
    assert (done.exit_code, done.output) == (0, "False\n")


@pytest.mark.parametrize(
    ("arguments", "tls"),
    [
        ([], False),
        (["--tls"], True),
        (["--server-name", "a"], Tls(server_name="a")),
        (["--tls", "--ca", "b"], Tls(ca=Path("b"))),
        (["--cert", "c", "--key", "d"], Tls(certificate=Path("c"), key=Path("d"))),
    ],
)
def test_what_encrypts(arguments: list[str], tls: bool | Tls) -> None:
    """Each option of TLS turns it on."""
    seen: list[bool | Tls] = []

    @click.command()
    @connection_options
    def _note(connection: Connection) -> None:
        seen.append(connection.tls)

    assert CliRunner().invoke(_note, arguments).exit_code == 0
    assert seen == [tls]


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        (["--cert", "a"], {}, "--cert and --key belong together"),
        (["--key", "a"], {}, "--cert and --key belong together"),
        (["--token-file", "no/such"], {}, "no/such cannot be read: No such file"),
        (["--token-file", "."], {}, "cannot be read: Is a directory"),
        (["--server", "10.0.0.1:1"], {"FLATDENSE_TOKEN": "t"}, "must not travel to 10.0.0.1:1 in"),
        ([], {"FLATDENSE_TOKEN": "two words"}, "the token is empty, or has a blank"),
        (["--token", "two words"], {}, "a token on the command line is seen by everybody"),
    ],
)
def test_what_does_not_go_together_is_wrong_usage(
    arguments: list[str], variables: dict[str, str], told: str
) -> None:
    """Exit code 2 and a sentence, before anything is sent; a token is not repeated."""
    done = CliRunner().invoke(_ask, arguments, env=variables)
    assert done.exit_code == 2
    assert told in " ".join(done.output.split())
    assert "two words" not in done.output
