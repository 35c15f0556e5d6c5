"""The clients from npm: left out where no registry answers, and for no other reason."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import node

_FAKE = """#!/bin/sh
echo "npm error code {code}" >&2
exit 1
"""


@pytest.fixture(autouse=True)
def _nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    node._found.cache_clear()
    yield
    node._found.cache_clear()


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `npm` that a test writes, and a `node` beside it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("npm", "node"):
        (programs / name).write_text(_FAKE.format(code="EUNSAID"))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return programs / "npm"


@pytest.mark.faults
def test_a_registry_that_does_not_answer_leaves_the_test_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node.need_node()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{port}/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    with pytest.raises(pytest.skip.Exception, match="no package registry: npm ci reached none"):
        node.installed()
    assert not list((tmp_path / "cache" / "dmp-gateway-tests").glob("clients-*[!k]")), "nothing half installed is left"


@pytest.mark.parametrize("code", ["ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ERR_SOCKET_TIMEOUT"])
def test_it_is_asked_once_a_process(npm: Path, code: str) -> None:
    npm.write_text(_FAKE.format(code=code))
    with pytest.raises(pytest.skip.Exception):
        node.installed()
    npm.unlink()
    npm.symlink_to("/bin/false")
    with pytest.raises(pytest.skip.Exception):
        node.installed()


@pytest.mark.parametrize("code", ["EUSAGE", "EINTEGRITY", "E404"])
def test_whatever_else_goes_wrong_fails(npm: Path, code: str) -> None:
    npm.write_text(_FAKE.format(code=code))
    with pytest.raises(RuntimeError, match=f"npm error code {code}"):
        node.installed()
