"""A gateway with TLS, as an operator has it: made by the verbs, spoken to by `send`, looked at by `doctor` and /readyz."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.adapters.trust import token_hash
from gateway.cli.main import main
from gateway.config.load import samples_directory
from tests.harness.breach import Breach
from tests.harness.door import Door
from tests.harness.pki import NOW, Authority, Made, Pki, replace

pytestmark = pytest.mark.door

TOKEN = "dmpgw_a-token-that-no-log-may-hold"


class Walked(Door):
    """A gateway with the files of `[tls]` beside its configuration."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        self.tls = folder / "tls"
        files = pki.write(self.tls)
        self.write(pki)
        (self.tls / "ca.pem").write_bytes(pki.servers.pem)
        text = (samples_directory() / "dmp-gateway.toml").read_text(encoding="utf-8")
        text = text.replace("[mllp]\n", '[mllp]\ntls_listen = "127.0.0.1:0"\n', 1) + "\n".join((
            '[[connections]]\ndoor = "mllp"\nsources = ["ris-old-valmont"]\ncertificates = ["dns:sil.chu.example"]',
            '[metrics]\nlisten = "127.0.0.1:0"',
            "[tls]", *(f'{name} = "tls/{path.name}"' for name, path in files.items()),
        ))  # fmt: skip
        text = text.replace('id = "sil-valmont"', f'id = "sil-valmont"\ntokens = ["{token_hash(TOKEN)}"]', 1)
        self.config = folder / "gateway.toml"
        self.config.write_text(text + "\n", encoding="utf-8")
        super().__init__(folder, config=self.config, environment={"DMP_GATEWAY_LOG_LEVEL": "debug"})

    def write(self, pki: Pki) -> None:
        """Write the files of `[tls]`; the certificate is for `localhost` alone."""
        pki.write(self.tls)
        pki.servers.issue("dns:localhost").write(self.tls, "server")

    def post(self, made: Made | None, *options: str, host: str = "localhost", port: int = 0) -> Result:
        """`send --tls` of a sample."""
        shown = []
        if made is not None:
            certificate, key = made.write(self.tls / "senders", made.fingerprint[:8])
            shown = ["--cert", str(certificate), "--key", str(key)]
        to = f"{host}:{port or self.process.tls_port}"
        arguments = ["send", "--example", "oru", "--to", to, "--tls", *(options or ("--ca", str(self.tls / "ca.pem"))), *shown]
        return CliRunner().invoke(main, arguments)

    def page(self) -> str:
        assert self.process.page is not None
        with urllib.request.urlopen(self.process.page.replace("/metrics", "/readyz"), timeout=10) as answer:
            return str(answer.read().decode())

    def metrics(self) -> str:
        assert self.process.page is not None
        with urllib.request.urlopen(self.process.page, timeout=10) as answer:
            return str(answer.read().decode())

    def until(self, words: str) -> str:
        limit = time.monotonic() + 15
        while words not in (page := self.page()):
            assert time.monotonic() < limit, page
            time.sleep(0.05)
        return page


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Iterator[Walked]:
    with Walked(tmp_path_factory.mktemp("tls"), pki) as opened:
        yield opened
        log = opened.log.read_text(encoding="utf-8", errors="replace")
        secrets = {"a token": TOKEN, "the hash of a token": token_hash(TOKEN)[7:], "a certificate": "BEGIN CERTIFICATE",
                   "a key": "PRIVATE KEY", "a fingerprint": pki.client.fingerprint, "a name": "sil.chu.example"}  # fmt: skip
        for what, text in secrets.items():
            if text in log:
                raise Breach(f"the log holds {what}")


def test_a_sender_with_its_certificate_is_answered(walked: Walked, pki: Pki) -> None:
    result = walked.post(pki.client)
    assert result.exit_code == 0, result.output


def test_why_tls_fails_is_said(walked: Walked, pki: Pki) -> None:
    wrong = walked.tls / "wrong.pem"
    wrong.write_bytes(Authority("Wrong").pem)
    for made, options, host, words in (
        (None, (), "localhost", "it wants a client certificate"),
        (pki.clients.issue("dns:sil.chu.example", ends=NOW - timedelta(days=1)), (), "localhost", "our certificate has expired"),
        (Authority("Other").issue("dns:sil.chu.example"), (), "localhost", "it knows no authority that issued our certificate"),
        (pki.client, ("--ca", str(wrong)), "localhost", "no authority that we trust issued its certificate"),
        (pki.client, (), "127.0.0.1", "its certificate is not for 127.0.0.1"),
    ):
        result = walked.post(made, *options, host=host)
        assert result.exit_code == 1
        assert words in " ".join(result.output.split()), result.output
    plain = walked.post(pki.client, port=walked.process.port)
    assert "it speaks no TLS there" in " ".join(plain.output.split())


@pytest.fixture
def closing() -> Iterator[int]:
    """A port whose every connection is closed unread, as the door closes those that nothing admits."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def close() -> None:
            with suppress(OSError):
                while True:
                    listener.accept()[0].close()

        closer = threading.Thread(target=close)
        closer.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        closer.join()


def test_a_connection_that_is_closed_unread_is_explained(closing: int, pki: Pki, tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    authority.write_bytes(pki.servers.pem)
    for options, words, otherwise in (
        ((), ("it may not admit this machine", "or speak TLS there (--tls)"), "no connection"),
        (("--tls", "--ca", str(authority)), ("TLS failed", "is this machine not admitted? "), "Nothing takes connections"),
    ):
        result = CliRunner().invoke(main, ["send", "--example", "oru", "--to", f"127.0.0.1:{closing}", *options])
        told = " ".join(result.output.split()) + " "
        assert result.exit_code == 1
        assert all(word in told for word in words) and otherwise not in told, told


def test_a_name_that_nobody_knows_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    result = CliRunner().invoke(main, ["send", "--example", "oru", "--to", "nobody.invalid:2575"])
    assert result.exit_code == 1
    assert "This machine knows no host nobody.invalid: is its name right?" in result.output
    assert "Nothing takes connections" not in result.output
    monkeypatch.undo()
    result = CliRunner().invoke(main, ["send", "--example", "oru", "--to", "no..name:2575"])
    assert result.exit_code == 1
    assert "This machine knows no host no..name" in result.output


def test_what_send_cannot_use_is_a_misuse(walked: Walked, pki: Pki, tmp_path: Path) -> None:
    certificate, key = pki.client.write(tmp_path, "a")
    other = pki.servers.issue().write(tmp_path, "b")[1]
    for options, words in (
        (("--cert", str(certificate)), "are for --tls"),
        (("--tls", "--key", str(key)), "--key needs the certificate"),
        (("--tls", "--cert", str(certificate), "--key", str(other)), "the key is not the certificate's"),
        (("--tls", "--cert", str(certificate)), "its key is in a file of its own: --key FILE"),
        (("--tls", "--ca", str(key)), "holds no certificate of an authority"),
        (("--tls", "--ca", str(tmp_path / "none.pem")), "none.pem cannot be read: No such file"),
    ):
        result = CliRunner().invoke(main, ["send", "--example", "oru", "--to", "localhost:1", *options])
        assert result.exit_code == 2 and words in " ".join(result.output.split()), result.output


def test_doctor_and_readyz_tell_of_certificates_and_hup_takes_new_ones(walked: Walked, pki: Pki) -> None:
    def doctor() -> dict[str, list[dict[str, str]]]:
        result = CliRunner().invoke(main, ["doctor", "--config", str(walked.config), "--data", str(walked.data), "--json"])
        found: dict[str, list[dict[str, str]]] = {}
        for line in map(json.loads, result.stdout.splitlines()):
            found.setdefault(line["subject"], []).append(line)
        return found

    told = doctor()
    assert [line["state"] for line in told["tls"]] == ["ok"]
    assert any("shows the certificate of the file" in line["text"] for line in told["door mllp"])
    assert "certificate" not in walked.page()

    soon = pki.servers.issue("dns:localhost", ends=NOW + timedelta(days=5))
    soon.write(walked.tls, "server")
    os.kill(walked.process.pid, signal.SIGHUP)
    walked.until("note: tls.certificate: ends on ")
    shown = ssl.get_server_certificate(("127.0.0.1", walked.process.tls_port))
    assert ssl.PEM_cert_to_DER_cert(shown) == ssl.PEM_cert_to_DER_cert(soon.pem.decode())
    series = 'dmpgw_certificate_expiry_timestamp_seconds{use="server"} '
    (value,) = (line.removeprefix(series) for line in walked.metrics().splitlines() if line.startswith(series))
    assert float(value) == soon.certificate.not_valid_after_utc.timestamp()
    (line,) = doctor()["tls"]
    assert line["state"] == "note" and "ends on" in line["text"]

    replace(walked.tls / "server.key", pki.client.key_pem, mode=0o600)
    walked.until("note: the new files of [tls] are not used, the old ones go on")
    assert walked.post(pki.client).exit_code == 0
    assert {line["state"] for line in doctor()["tls"]} == {"problem"}
    walked.write(pki)
    os.kill(walked.process.pid, signal.SIGHUP)
    limit = time.monotonic() + 15
    while "note: " in walked.page():
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_a_gateway_does_not_start_with_files_that_cannot_be_used(tmp_path: Path, pki: Pki) -> None:
    walked = Walked(tmp_path, pki)
    replace(walked.tls / "server.key", pki.client.key_pem, mode=0o600)
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", "serve", "--config", str(walked.config), "--data", str(walked.data),
         "--mllp-port", "0", "--http-port", "0"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "the key is not the certificate's" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
