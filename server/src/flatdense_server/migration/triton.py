"""Triton: the flags of tritonserver, and its model repository."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from flatdense_artifact import NoVersions, list_versions, version_folder
from flatdense_proto.twin.inference_pb2 import ModelConfig

from flatdense_server.migration.answer import Answer, merge, one_each
from flatdense_server.migration.flags import Carry, Flags, Given, OtherServer
from flatdense_server.migration.textproto import read_textproto
from flatdense_server.migration.versions import carry_policy

CONFIG_NAME: Final = "config.pbtxt"
CONFIG_EXAMPLE: Final = 'name: "mnist" platform: "tensorflow_savedmodel" max_batch_size: 64'
SAVED_MODEL: Final = "model.savedmodel"
"""The folder inside a version's folder that has the SavedModel."""

LINKS: Final = "flatdense-models"
"""The folder for links to SavedModels, beside which nobody has one of this name."""

PLATFORMS: Final = ("", "tensorflow", "tensorflow_savedmodel")
"""Those with SavedModels, as a `platform` or a `backend`."""

EVERY_MODEL: Final = "*"

LEVELS: Final = {"log-info": "warning", "log-warning": "error"}
"""What is left when a level is turned off."""


def find_models(repository: Path) -> list[Path]:
    """The models in a folder of models."""
    try:
        folders = sorted(entry for entry in repository.iterdir() if entry.is_dir())
    except OSError:
        return []
    return [it for it in folders if (it / CONFIG_NAME).is_file() or find_versions(it)]


def find_versions(folder: Path) -> Sequence[int]:
    """The versions of a model; none where it cannot be read."""
    try:
        return list_versions(folder)
    except NoVersions:
        return ()


def carry_repository(value: str, given: Given) -> Answer:
    """--model-repository: its model, or each of its models, or the one that is to be loaded."""
    wanted = given.get("load-model", EVERY_MODEL)
    models = [it for it in find_models(Path(value)) if wanted in (EVERY_MODEL, it.name)]
    if not models:
        name = "mnist" if wanted == EVERY_MODEL else wanted
        expected = Path(value, name, "1", SAVED_MODEL)
        return Answer(remarks=(f"{value} has no model to be served: expected {expected}",))
    return one_each(value, [carry_model(folder) for folder in models])


def carry_model(folder: Path) -> Answer:
    """A model's folder: the SavedModels in it, and what its config.pbtxt says.

    Raises ConfigUnreadable.
    """
    config, path = ModelConfig(), folder / CONFIG_NAME
    if path.is_file():
        read_textproto(path, config, CONFIG_EXAMPLE, tolerant=True)
    inside = [version for version in find_versions(folder) if is_inside(folder, version)]
    model_dir = Path(LINKS, folder.name) if inside else folder
    return merge(
        [
            Answer(
                options=(
                    ("--model-dir", str(model_dir)),
                    ("--model-name", config.name or folder.name),
                ),
                steps=(link(folder, inside, model_dir),) if inside else (),
            ),
            carry_config(config),
            carry_policy(str(model_dir), config.version_policy, {}),
        ]
    )


def is_inside(folder: Path, version: int) -> bool:
    """Whether a version has its SavedModel one folder further down than here."""
    return (version_folder(folder, version) / SAVED_MODEL).is_dir()


def link(folder: Path, versions: Sequence[int], model_dir: Path) -> str:
    """The command that makes a model folder, without a change to the repository."""
    numbers = " ".join(map(str, versions))
    source, links = shlex.quote(str(folder.absolute())), shlex.quote(str(model_dir))
    return (
        f"mkdir -p {links} && for v in {numbers}; do "
        f"ln -sfn {source}/$v/{SAVED_MODEL} {links}/$v; done"
    )


def carry_config(config: ModelConfig) -> Answer:
    """What of a config.pbtxt are options here."""
    options: list[tuple[str, str]] = []
    if config.max_batch_size:
        options.append(("--max-batch-rows", str(config.max_batch_size)))
        options.append(("--max-request-rows", str(config.max_batch_size)))
    if wait_us := config.dynamic_batching.max_queue_delay_microseconds:
        options.append(("--batch-wait-us", str(wait_us)))
    platform = config.platform or config.backend
    remark = f"The platform {platform} is not offered, only SavedModels"
    return Answer(options=options, remarks=() if platform in PLATFORMS else (remark,))


def carry_milliseconds(option: str) -> Carry:
    """A flag in milliseconds, as an option in seconds."""

    def carry(value: str, _: Given) -> Answer:
        seconds = f"{int(value) / 1000:g}" if value.isdecimal() else value
        return Answer(options=((option, seconds),))

    return carry


def carry_load(value: str, _: Given) -> Answer:
    """--load-model, where a star is every model."""
    return Answer() if value == EVERY_MODEL else Answer(options=(("--model-name", value),))


def carry_control(value: str, _: Given) -> Answer:
    """--model-control-mode, where something is to be said of every mode."""
    if value == "explicit":
        return Answer(options=(("--model-control", ""),))
    return Answer(remarks=("The model folder is always followed, as by poll",))


def carry_verbose(value: str, _: Given) -> Answer:
    """--log-verbose, where 0 is off."""
    return Answer() if value == "0" else Answer(options=(("--log-level", "debug"),))


def carry_level(_: str, given: Given) -> Answer:
    """--log-info and --log-warning, where the one turned off says what is left."""
    off = {name for name in LEVELS if given.get(name, "").lower() in ("false", "off", "0")}
    left = [LEVELS[name] for name in LEVELS if name in off]
    return Answer(options=(("--log-level", left[-1]),)) if left else Answer()


SERVER: Final = OtherServer(
    owner="Triton's",
    table=(
        Flags(
            names=("model-repository", "model-store"),
            here="--model-name, --model-dir, --max-batch-rows, --max-request-rows, "
            "--batch-wait-us, versions.toml",
            carry=carry_repository,
        ),
        Flags(names=("load-model",), here="--model-name", carry=carry_load),
        Flags(
            names=("grpc-port",),
            here="--grpc-port",
            remark="The same; the default is 8500 here, and 8001 there",
        ),
        Flags(
            names=("http-port",),
            here="--http-port",
            remark="The same; the default is 8501 here, and 8000 there",
        ),
        Flags(names=("grpc-address",), here="--host", remark="The default is 127.0.0.1"),
        Flags(
            names=("http-address", "metrics-address"),
            here="--http-host",
            remark="The default is that of --host",
        ),
        Flags(names=("metrics-port",), remark="not needed: /metrics is on the HTTP port"),
        Flags(
            names=("allow-grpc", "allow-http", "allow-metrics", "allow-cpu-metrics"),
            remark="not needed: gRPC, HTTP and the metrics are always on",
        ),
        Flags(
            names=("model-control-mode",),
            here="--model-control",
            remark="In place of explicit; the model folder is always followed, as by poll",
            carry=carry_control,
        ),
        Flags(names=("repository-poll-secs",), here="--poll-interval-s"),
        Flags(names=("exit-timeout-secs",), here="--grace-s"),
        Flags(names=("log-verbose",), here="--log-level", carry=carry_verbose),
        Flags(names=("log-info", "log-warning"), here="--log-level", carry=carry_level),
        Flags(names=("log-format",), here="--log-format", remark="The values are text and json"),
        Flags(
            names=("reuse-grpc-port", "reuse-http-port"),
            remark="not needed: --workers share the gRPC port",
        ),
        Flags(
            names=(
                "grpc-infer-allocation-pool-size",
                "http-thread-count",
                "buffer-manager-thread-count",
            ),
            remark="not needed: one thread of each worker answers all calls",
        ),
        Flags(
            names=("strict-model-config", "disable-auto-complete-config"),
            remark="not needed: there is no config.pbtxt",
        ),
        Flags(
            names=("strict-readiness", "exit-on-error"),
            remark="not needed: ready means that calls are answered, and a server that can serve "
            "no version ends",
        ),
        Flags(
            names=("model-load-thread-count", "model-load-retry-count"),
            remark="not needed: a version is loaded beside the calls, and tried again when its "
            "files change",
        ),
        Flags(
            names=("backend-directory", "backend-config", "repoagent-directory"),
            remark="not needed: --engine says what runs the network",
        ),
        Flags(
            names=("id", "model-namespacing", "metrics-config", "metrics-interval-ms"),
            remark="not needed",
        ),
        Flags(
            names=("grpc-server-cert",),
            here="--tls-cert",
            remark="Of the HTTP port too",
        ),
        Flags(names=("grpc-server-key",), here="--tls-key"),
        Flags(
            names=("grpc-root-cert",),
            here="--tls-client-ca",
            remark="With it callers must have a certificate",
        ),
        Flags(
            names=("grpc-use-ssl", "grpc-use-ssl-mutual"),
            remark="not needed: --tls-cert and --tls-client-ca say so",
        ),
        Flags(
            names=("grpc-restricted-protocol", "http-restricted-api"),
            remark="not offered: --token-file says who may call, and who may load and unload",
        ),
        Flags(
            names=("grpc-max-connection-age",),
            here="--max-connection-age-s",
            remark="In seconds",
            carry=carry_milliseconds("--max-connection-age-s"),
        ),
        Flags(
            names=("grpc-max-connection-age-grace",),
            here="--max-connection-age-grace-s",
            remark="In seconds",
            carry=carry_milliseconds("--max-connection-age-grace-s"),
        ),
        Flags(
            names=(
                "grpc-keepalive-time",
                "grpc-keepalive-timeout",
                "grpc-keepalive-permit-without-calls",
                "grpc-http2-max-pings-without-data",
                "grpc-http2-min-recv-ping-interval-without-data",
                "grpc-http2-max-ping-strikes",
                "grpc-infer-response-compression-level",
                "grpc-header-forward-pattern",
                "http-header-forward-pattern",
            ),
            remark="not offered",
        ),
        Flags(
            names=("log-error", "log-file"), remark="not offered: the log goes to standard error"
        ),
        Flags(
            names=("rate-limit", "rate-limit-resource"),
            remark="not offered: --max-queued-rows bounds what waits",
        ),
        Flags(
            names=("cache-config", "cache-directory", "response-cache-byte-size"),
            remark="not offered: an answer is computed each time",
        ),
        Flags(
            names=(
                "trace-config",
                "trace-file",
                "trace-level",
                "trace-rate",
                "trace-count",
                "trace-log-frequency",
            ),
            remark="not offered",
        ),
        Flags(
            names=(
                "allow-gpu-metrics",
                "pinned-memory-pool-byte-size",
                "cuda-memory-pool-byte-size",
                "cuda-virtual-address-size",
                "min-supported-compute-capability",
                "model-load-gpu-limit",
                "host-policy",
            ),
            remark="not offered: --device is all there is to say of a GPU",
        ),
        Flags(
            names=(
                "allow-sagemaker",
                "sagemaker-port",
                "sagemaker-safe-port-range",
                "sagemaker-thread-count",
                "allow-vertex-ai",
                "vertex-ai-port",
                "vertex-ai-thread-count",
                "vertex-ai-default-model",
            ),
            remark="not offered",
        ),
    ),
)
