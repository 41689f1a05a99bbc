"""The files of the page: what they are sent with, and when they are not sent again."""

import gzip
from importlib.resources import files

import httpx
import pytest

FOLDER = files("flatdense_server.http.page").joinpath("static")
NAMES = sorted(file.name for file in FOLDER.iterdir())


def test_the_page_is_there_before_anything_is_served(client: httpx.Client) -> None:
    """/ is HTML, the same for everybody: no worker is asked."""
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.content == FOLDER.joinpath("index.html").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_every_file_comes_with_its_type_and_a_strict_policy(
    client: httpx.Client, name: str
) -> None:
    """No other server is asked, and nothing that stands in the markup runs."""
    answer = client.get(f"/page/{name}")
    assert answer.content == FOLDER.joinpath(name).read_bytes()
    policy = answer.headers["content-security-policy"]
    directives = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert {directives[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {
        "'self'"
    }
    assert directives["frame-ancestors"] == directives["base-uri"] == "'none'"
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_asked_of_strangers(name: str) -> None:
    """No address of another server stands in a file, but those that are names."""
    text = FOLDER.joinpath(name).read_text()
    for allowed in ("http://www.w3.org/2000/svg",):
        text = text.replace(allowed, "")
    assert "://" not in text
    assert "innerHTML" not in text


def test_what_a_browser_has_is_not_sent_again(client: httpx.Client) -> None:
    """304 with the ETag, as long as the file is the same."""
    first = client.get("/page/main.js")
    tag = first.headers["etag"]
    again = client.get("/page/main.js", headers={"if-none-match": f'"other", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = client.get("/page/main.js", headers={"if-none-match": 'W/"other"'})
    assert other.status_code == 200
    assert client.get("/page/pad.js").headers["etag"] != tag


def test_files_are_compressed_where_the_browser_takes_it(client: httpx.Client) -> None:
    """By gzip, and else not at all."""
    small = client.get("/page/main.js", headers={"accept-encoding": "gzip, br"})
    plain = client.get("/page/main.js", headers={"accept-encoding": "identity"})
    assert small.headers["content-encoding"] == "gzip"
    assert small.headers["vary"] == "accept-encoding"
    assert "content-encoding" not in plain.headers
    whole = small.content if small.content == plain.content else gzip.decompress(small.content)
    assert whole == plain.content
    assert int(small.headers["content-length"]) < len(plain.content) / 2


@pytest.mark.parametrize("name", ["nothing.js", "..%2Ffiles.py", "%2e%2e", "main.js%00"])
def test_there_is_nothing_else(client: httpx.Client, name: str) -> None:
    """404 for every other name, whatever it tries."""
    answer = client.get(f"/page/{name}")
    assert answer.status_code == 404
    assert answer.json().keys() == {"error"}
