"""curl against a real gateway: every form of a body, what is wrong about its length, TLS with certificates; HL7v2 too."""

import base64
import gzip
import http.client
from pathlib import Path

import pytest

from gateway.mappers.hl7v2.ack import read_ack
from tests.harness.config import Admitted, Facility, write
from tests.harness.day import VALMONT, biology, oru, radiology, says, someone, stamp
from tests.harness.door import Door, stored_documents
from tests.harness.pki import Pki
from tests.harness.portal import Said, curl, render, token

pytestmark = pytest.mark.door

#: Of the fixture's gateway.
LIMIT = 4 * 1024 * 1024
XML = "Content-Type: text/xml; charset=utf-8"
LABO = f"Authorization: Bearer {token('labo')}"


def address(door: Door, path: str) -> str:
    return f"http://127.0.0.1:{door.process.http_port}{path}"


def send(door: Door, file: Path, *options: str, kind: str = XML, path: str = "/cda") -> Said:
    """Post a file as the laboratory's system, by `--data-binary`."""
    return curl("-H", LABO, "-H", kind, "--data-binary", f"@{file}", *options, address(door, path))


def written(folder: Path, content: bytes) -> Path:
    file = folder / "document.xml"
    file.write_bytes(content)
    return file


# -- forms of a body


def test_plain_and_again(portal: Door, tmp_path: Path) -> None:
    patient = someone(portal)
    document = biology(patient)
    file = written(tmp_path, render(document))
    first, again = send(portal, file), send(portal, file)
    assert (first.status, first.json["state"]) == (201, "stored")
    assert (again.status, again.json["state"]) == (200, "duplicate")
    assert again.headers["location"] == first.headers["location"] == f"/deposits/{first.json['receipt']}"
    page = curl("-H", LABO, address(portal, first.headers["location"]))
    assert (page.status, page.json["deposit"]["state"], page.json["deposit"]["document_ids"]) == (200, "stored", [document.id])
    assert stored_documents(portal.record(patient.ins)) == [document.id]


@pytest.mark.parametrize("form", ["base64", "transfer", "multipart", "multipart base64", "gzip", "chunked", "expect", "http1.0"])
def test_every_form_is_the_same_document(portal: Door, tmp_path: Path, form: str) -> None:
    patient = someone(portal)
    document = biology(patient)
    plain = render(document)
    file = written(tmp_path, plain)
    coded = tmp_path / "document.b64"
    coded.write_bytes(base64.encodebytes(plain))
    packed = tmp_path / "document.gz"
    packed.write_bytes(gzip.compress(plain))
    declared = tmp_path / "submission.json"
    declared.write_text('{"act": "add"}', encoding="utf-8")
    part = f"submission=@{declared};type=application/json"
    said = {
        "base64": lambda: send(portal, coded, kind="Content-Type: application/base64"),
        "transfer": lambda: send(portal, coded, "-H", "Content-Transfer-Encoding: base64"),
        "multipart": lambda: curl("-H", LABO, "-F", part, "-F", f"document=@{file};type=text/xml", address(portal, "/cda/")),
        "multipart base64": lambda: curl(
            "-H", LABO, "-F", f"document=@{file};type=text/xml;encoder=base64", "-F", part, address(portal, "/cda")
        ),
        "gzip": lambda: send(portal, packed, "-H", "Content-Encoding: gzip"),
        "chunked": lambda: send(portal, file, "-H", "Transfer-Encoding: chunked"),
        "expect": lambda: send(portal, file, "-H", "Expect: 100-continue"),
        "http1.0": lambda: send(portal, file, "--http1.0"),
    }[form]()
    assert (said.status, said.json["state"]) == (201, "stored"), said.body
    # Whatever it came as, it is the document that a plain request brings.
    again = send(portal, file)
    assert (again.status, again.json["first"]) == (200, said.json["receipt"])


def test_curl_keeps_one_connection_for_several_requests(portal: Door, tmp_path: Path) -> None:
    patient = someone(portal)
    files = []
    for number, document in enumerate((biology(patient), radiology(patient))):
        files.append(tmp_path / f"{number}.xml")
        files[-1].write_bytes(render(document))
    each = [["-H", LABO, "-H", XML, "-i", "-s", "--data-binary", f"@{file}", address(portal, "/cda")] for file in files]
    said = curl(*each[0], "--next", *each[1], "-w", "%{num_connects}")
    assert (said.status, said.body.count(b'"state":"stored"'), said.body[-1:]) == (201, 2, b"0")


# -- lengths


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_over_the_limit_is_413_and_nothing_of_it_is_kept(portal: Door, tmp_path: Path, chunked: bool) -> None:
    file = written(tmp_path, b" " * (LIMIT + 1))
    options = ("-H", "Transfer-Encoding: chunked") if chunked else ()
    named = ("-H", "DMP-Message-Id: TOO-LARGE", *options)
    said = send(portal, file, *named)
    assert (said.status, said.code) == (413, "TOO_LARGE")
    assert said.headers["content-type"] == "application/problem+json"
    # What is unpacked counts as well.
    packed = tmp_path / "bomb.gz"
    packed.write_bytes(gzip.compress(bytes(8 * LIMIT)))
    said = send(portal, packed, "-H", "Content-Encoding: gzip", *named)
    assert (said.status, said.code) == (413, "TOO_LARGE")
    assert portal.deposits("--message", "TOO-LARGE") == []
    under = send(portal, written(tmp_path, b"<a>" + b" " * (LIMIT - 7) + b"</a>"), *options)
    assert (under.status, under.code) == (422, "NOT_CDA"), under.body


def raw(door: Door, *headers: str, body: bytes, path: str = "/cda") -> int:
    """Send a request by hand that no client would; return the status."""
    connection = http.client.HTTPConnection("127.0.0.1", door.process.http_port, timeout=20)
    try:
        connection.connect()
        head = [f"POST {path} HTTP/1.1", "Host: gateway", "Connection: close", LABO, XML, *headers]
        connection.sock.sendall("\r\n".join([*head, "", ""]).encode() + body)
        connection.sock.shutdown(1)
        answer = http.client.HTTPResponse(connection.sock)
        answer.begin()
        assert len(answer.headers.get_all("X-Request-Id", [])) == 1
        return answer.status
    finally:
        connection.close()


def test_lengths_that_do_not_hold_are_refused(portal: Door) -> None:
    content = render(biology(someone(portal)))
    # Two lengths that disagree, a length beside chunks, one that is no number.
    assert raw(portal, "Content-Length: 4", f"Content-Length: {len(content)}", body=content) == 400
    assert raw(portal, f"Content-Length: {len(content)}", "Transfer-Encoding: chunked", body=b"0\r\n\r\n") == 400
    assert raw(portal, "Content-Length: -1", body=content) == 400
    assert raw(portal, "Content-Length: -1", body=b"{}", path="/fhir") == 400
    assert raw(portal, "Content-Length: 0", body=b"") == 400
    # Less than it says: half a document never becomes one.
    said = ask_short(portal, content)
    assert said in {400, 0}
    assert not [line for line in portal.deposits() if line.state == "stored" and line.message_id == "SHORT"]


def ask_short(door: Door, content: bytes) -> int:
    """Announce the whole and send half; return the status, 0 if the connection was closed."""
    try:
        return raw(door, f"Content-Length: {len(content)}", "DMP-Message-Id: SHORT", body=content[: len(content) // 2])
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return 0


@pytest.mark.parametrize("size", [LIMIT // 2, LIMIT + 1, 4 * LIMIT])
def test_whoever_asks_first_is_told_before_the_body(portal: Door, tmp_path: Path, size: int) -> None:
    """Expect: 100-continue: without a token, or for too much, the refusal comes at once, and the body is never sent."""
    asking = ("-H", XML, "-H", "Expect: 100-continue", "--expect100-timeout", "20", "-w", "%{size_upload}")
    body = ("--data-binary", f"@{written(tmp_path, b' ' * size)}", address(portal, "/cda"))
    said = curl(*asking, *body)
    assert (said.status, said.body.endswith(b"}0")) == (401, True), said.body
    if size > LIMIT:
        said = curl("-H", LABO, *asking, *body)
        assert (said.status, said.body.endswith(b"}0")) == (413, True), said.body


# -- HL7v2 over HTTP


def test_hl7v2_by_curl(portal: Door, tmp_path: Path) -> None:
    patient = someone(portal)
    document = biology(patient)
    sil = f"Authorization: Bearer {token('sil')}"
    gam = f"Authorization: Bearer {token('gam')}"

    def tell(message: bytes, who: str, kind: str = "application/hl7-v2; charset=utf-8") -> tuple[int, str]:
        file = written(tmp_path, message)
        said = curl("-H", who, "-H", f"Content-Type: {kind}", "--data-binary", f"@{file}", address(portal, "/hl7v2"))
        assert said.headers["content-type"].startswith("application/hl7-v2")
        answered = read_ack(said.body)
        return said.status, answered.code + "".join(f" {error.code}" for error in answered.errors[:1])

    assert tell(oru(document), sil) == (200, "AA")
    assert tell(oru(document), sil, "x-application/hl7-v2+er7") == (200, "AA")
    assert tell(oru(document).replace(b"\r", b"\n"), sil, "text/plain") == (200, "AA")
    portal.drained()
    assert stored_documents(portal.record(patient.ins)) == [document.id]
    assert tell(oru(biology(patient)).replace(b"|VALI", b"|PROV"), sil) == (422, "AE INS_UNQUALIFIED")
    # A token names one source: MSH-3 cannot choose another one.
    assert tell(oru(biology(patient)), gam) == (403, "AR SOURCE_UNKNOWN")
    assert tell(says(patient, "IO", stamp(days=-1)), gam) == (200, "AA")
    assert [statement.in_force for statement in portal.record(patient.ins).statements] == [True]
    refused = curl("-H", sil, "-H", "Content-Type: application/json", "--data-binary", "{}", address(portal, "/hl7v2"))
    assert (refused.status, "application/hl7-v2" in refused.headers["accept-post"]) == (415, True)


# -- TLS


def test_https_with_a_client_certificate(pki: Pki, tmp_path: Path) -> None:
    files = pki.write(tmp_path / "tls")
    mine, key = pki.client.write(tmp_path / "client", "client")
    authority = tmp_path / "servers.pem"
    authority.write_bytes(pki.servers.pem)
    stranger, stranger_key = pki.servers.issue("dns:sil.chu.example", common="stranger").write(tmp_path / "client", "stranger")
    other, other_key = pki.clients.issue("dns:other.example", common="other").write(tmp_path / "client", "other")
    sections = ["[http]", 'tls_listen = "127.0.0.1:0"', "[tls]", *(f'{name} = "{file}"' for name, file in files.items())]
    config = write(
        tmp_path / "gateway.toml",
        [Facility(id=VALMONT.id, finess_ej=VALMONT.ej, finess_eg=(VALMONT.eg,), authorities={"ipp": (f"{VALMONT.oid}.1",)})],
        [Admitted(id="labo", establishment=VALMONT.id, application="LABO-V", facility=VALMONT.namespace, token=token("labo"))],
        sections=sections,
    )
    with config.open("a", encoding="utf-8") as more:
        more.write('[[connections]]\ndoor = "http"\ncertificates = ["dns:sil.chu.example"]\nsources = ["labo"]\n')
    with Door(tmp_path, config=config) as door:
        file = written(tmp_path, render(biology(someone(door))))
        where = f"https://localhost:{door.process.https_port}/cda"

        def tell(*options: str) -> Said:
            trusted = ("--cacert", str(authority), "-H", XML, "--data-binary", f"@{file}")
            return curl(*trusted, *options, where)

        said = tell("--cert", str(mine), "--key", str(key))
        assert (said.status, said.json["state"]) == (201, "stored")
        assert tell("-H", LABO).status == 200
        assert (tell().status, tell("--cert", str(other), "--key", str(other_key)).status) == (401, 401)
        with pytest.raises(AssertionError, match=r"curl ended with (35|55|56)"):
            tell("--cert", str(stranger), "--key", str(stranger_key))
        with pytest.raises(AssertionError, match=r"curl ended with (35|55|56)"):
            tell("--tls-max", "1.1")
        # Nobody is admitted by a name over the port without TLS.
        assert curl("-H", XML, "--data-binary", f"@{file}", address(door, "/cda")).status == 401
