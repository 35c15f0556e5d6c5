"""node-hl7-client over mutual TLS: admitted by its certificate, and nothing without one that we know."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config.load import samples_directory
from tests.harness import node
from tests.harness.day import biology, control_id, oru, someone
from tests.harness.door import Door
from tests.harness.pki import Authority, Made, Pki

pytestmark = pytest.mark.door


class Secured(Door):
    """A gateway that takes TLS with certificates of ours only."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        self.tls = folder / "tls"
        files = pki.write(self.tls)
        pki.servers.issue("dns:localhost").write(self.tls, "server")
        (self.tls / "ca.pem").write_bytes(pki.servers.pem)
        text = (samples_directory() / "dmp-gateway.toml").read_text(encoding="utf-8")
        text = text.replace("[mllp]\n", '[mllp]\ntls_listen = "127.0.0.1:0"\n', 1) + "\n[tls]\n"
        config = folder / "gateway.toml"
        config.write_text(text + "".join(f'{name} = "tls/{path.name}"\n' for name, path in files.items()), encoding="utf-8")
        super().__init__(folder, config=config)

    def run(self, made: Made, form: str, *files: str) -> list[dict[str, str]]:
        """Send files with a certificate."""
        shown = made.write(self.tls / "senders", made.fingerprint[:8])
        tls = (str(self.tls / "ca.pem"), *map(str, shown))
        return node.run("node-hl7-client.mjs", str(self.process.tls_port), form, *files, "--", *tls, timeout=30)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Iterator[Secured]:
    with Secured(tmp_path_factory.mktemp("secured"), pki) as opened:
        yield opened


def written(folder: Path, *messages: bytes) -> list[str]:
    files = [folder / f"message-{number}.er7" for number in range(len(messages))]
    for file, message in zip(files, messages, strict=True):
        file.write_bytes(message.replace(b"\r", b"\n"))
    return [str(file) for file in files]


@pytest.mark.parametrize("form", ["messages", "batch"])
def test_messages_and_batches_come_over_mutual_tls(secured: Secured, pki: Pki, tmp_path: Path, form: str) -> None:
    patient = someone(secured)
    names = [control_id() for _ in range(2)]
    files = written(tmp_path, *(oru(biology(patient), message_id=name) for name in names))
    assert secured.run(pki.client, form, *files) == [{"code": "AA", "id": name} for name in names]
    secured.drained()
    assert [document.state for document in secured.record(patient.ins).documents] == ["current"] * 2


def test_with_the_certificate_of_another_authority_nothing_is_answered(secured: Secured, tmp_path: Path) -> None:
    patient = someone(secured)
    files = written(tmp_path, oru(biology(patient), message_id=control_id()))
    with pytest.raises(RuntimeError, match="ended with"):
        secured.run(Authority("Other").issue("dns:sil.chu.example"), "messages", *files)
    assert secured.record(patient.ins).documents == ()
