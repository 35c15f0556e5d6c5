"""S2 and S10 over HTTP: hostile bodies and hostile requests through a real door; what was in them is nowhere afterwards."""

import contextlib
import gzip
import json
import re
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from gateway.config.load import samples_directory
from tests.harness.breach import Breach
from tests.harness.canaries import Canaries
from tests.harness.door import Door
from tests.harness.portal import FHIR, bearer, portal
from tests.security.hostile import er7, http, xml
from tests.security.hostile import json as bodies
from tests.security.hostile.case import Case

pytestmark = [pytest.mark.door, pytest.mark.faults]

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"
#: Larger ones are for the readers alone (`test_hostile.py`): here it is the door that is tried.
MOST_BYTES = 100_000
#: Of the messages every so many-th: the reader is the same.
EVERY = 6
_SECONDS = 20


@pytest.fixture
def line(opened: Door) -> Iterator["Line"]:
    with contextlib.closing(Line(opened)) as line:
        yield line


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with portal(tmp_path_factory.mktemp("hostile"), log="debug") as door:
        yield door


class Line:
    """One connection that is made again where the door closes it."""

    def __init__(self, door: Door) -> None:
        self._connection = HTTPConnection("127.0.0.1", door.process.http_port, timeout=_SECONDS)

    def close(self) -> None:
        self._connection.close()

    def post(self, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
        headers = {"Content-Type": kind, **bearer("sil")}
        self._connection.request("POST", path, body, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


def told(status: int, answer: bytes) -> set[str]:
    """The codes of an answer, whatever its form."""
    if answer.startswith(b"MSH"):
        return {line.split(b"|")[5].split(b"^")[0].decode() for line in answer.split(b"\r") if line.startswith(b"ERR")}
    said: dict[str, Any] = json.loads(answer)
    if "issue" in said:
        return {issue["details"]["coding"][0]["code"] for issue in said["issue"] if issue["severity"] in {"fatal", "error"}}
    return {said["code"]} if "code" in said else {str(status)}


def hostile() -> Iterator[tuple[str, str, Case]]:
    """Path, media type, and case."""
    for each in xml.documents():
        yield "/cda", "text/xml", each
    for number, each in enumerate(er7.messages()):
        if number % EVERY == 0:
            yield "/hl7v2", "application/hl7-v2", each
    for number, each in enumerate(bodies.bodies()):
        yield ("/fhir", "/fhir/DocumentReference", "/fhir/Bundle", "/fhir/Consent")[number % 4], FHIR, each


def test_every_hostile_body_is_refused_by_its_code_and_the_door_stays(opened: Door, line: Line) -> None:
    wrong, count = [], 0
    for path, kind, case in hostile():
        data = case.data()
        if len(data) > MOST_BYTES:
            continue
        count += 1
        status, answer = line.post(path, data, kind)
        codes = told(status, answer)
        # An ACK of AE is a good answer of the door /hl7v2 to a bad message; no sender of another system is admitted.
        allowed = case.codes | {"SOURCE_UNKNOWN", "DOCUMENT_EMPTY", "HTTP_BODY_INVALID", "FHIR_STRUCTURE", "BATCH_INVALID"}
        if status >= 500 or (status < 400 and path != "/hl7v2") or not codes or not codes <= allowed:
            wrong.append(f"{path} {case.name}: {status} {sorted(codes)}, not {sorted(case.codes)}")
    if wrong:
        raise Breach("\n".join(wrong))
    assert count > 600
    assert [line.id for line in opened.deposits() if line.verdict not in {"rejected", "ignored"}] == []


def answered(door: Door, request: bytes) -> bytes:
    """What a raw request is answered, until the door closes; empty if it closes at once."""
    with socket.create_connection(("127.0.0.1", door.process.http_port), timeout=_SECONDS) as line:
        try:
            line.sendall(request)
            line.shutdown(socket.SHUT_WR)
        except OSError:
            return b""
        found = b""
        try:
            while piece := line.recv(65536):
                found += piece
        except ConnectionResetError:
            pass
        return found


def test_every_hostile_request_is_refused_and_the_door_stays(opened: Door) -> None:
    wrong, count = [], 0
    for name, request in http.requests():
        count += 1
        answer = answered(opened, request)
        statuses = [int(each) for each in re.findall(rb"(?m)^HTTP/1\.[01] (\d{3}) ", answer)]
        bad = [status for status in statuses if status < 400 or status in {500, 502, 503, 504}]
        if bad or len(statuses) > 1 or b"Traceback" in answer or (answer and not statuses):
            wrong.append(f"{name}: {statuses or answer[:80]}")
    if wrong:
        raise Breach("\n".join(wrong))
    assert count > 100
    good = answered(opened, HEALTH)
    assert good.startswith(b"HTTP/1.1 200 ")


def test_nothing_of_what_was_refused_is_left(opened: Door, line: Line) -> None:
    """S10: patients of the bodies above, by name and INS, in log, temporary files and metrics; at log level debug."""
    report = er7.MESSAGE.replace(b"|SIL-V|", b"|NOBODY|")
    document = xml.CDA.replace('<code code="11502-2"', '<code code="CANARI-CODE"').encode()
    resource = (
        next(path for path in (samples_directory() / "fhir").glob("05-*")).read_bytes().replace(b'"current"', b'"CANARI-STATE"')
    )
    assert line.post("/hl7v2", report, "application/hl7-v2")[0] in range(200, 500)
    for path, data, kind in (("/cda", document, "text/xml"), ("/fhir/DocumentReference", resource, FHIR)):
        status, answer = line.post(path, data, kind)
        assert 400 <= status < 500
        assert not Canaries(MARKS).search(answer, path)
    metrics = answered(opened, b"GET /metrics HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")
    assert b"dmpgw_" in metrics
    canaries = Canaries(MARKS)
    found = canaries.search(metrics, "/metrics")
    found += canaries.search_files(opened.log, opened.log.parent / "temporary", *Path(opened.data).glob("queue.db*"))
    if found:
        raise Breach("\n".join(map(str, found)))
    told = [json.loads(line).get("event") for line in opened.log.read_bytes().splitlines() if line.startswith(b"{")]
    assert told.count("request.answered") >= 3, "the log tells of nothing"


@pytest.mark.parametrize("packed", [False, True], ids=["as it is", "gzip"])
@pytest.mark.parametrize("form", ["whole", "multipart"])
def test_a_body_is_never_written_down_while_it_is_received(opened: Door, form: str, *, packed: bool) -> None:
    """D-7: servers and parsers of forms put what is long into files; half-sent, a body of 4 MB is in memory alone."""
    document = xml.CDA.encode() + b"<!-- " + b"CANARI-LENGTH " * 300_000 + b"-->"
    kind = "text/xml"
    if form == "multipart":
        kind = "multipart/form-data; boundary=edge"
        document = b'--edge\r\nContent-Disposition: form-data; name="document"; filename="a.xml"\r\n\r\n' + document
    body = gzip.compress(document, 0) if packed else document
    head = f"POST /cda HTTP/1.1\r\nHost: gateway\r\nContent-Type: {kind}\r\nContent-Length: {len(body) + 100_000}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in bearer("sil").items())
    head += "Content-Encoding: gzip\r\n\r\n" if packed else "\r\n"
    with socket.create_connection(("127.0.0.1", opened.process.http_port), timeout=_SECONDS) as link:
        link.sendall(head.encode() + body)
        # More than the sockets between hold: the door has taken it.
        assert answered(opened, HEALTH).startswith(b"HTTP/1.1 200")
        held = {_target(each) for each in Path(f"/proc/{opened.process.pid}/fd").iterdir()}
    written = [each for each in held if each.endswith("(deleted)") or each.startswith(str(opened.log.parent / "temporary"))]
    written += map(str, (opened.log.parent / "temporary").rglob("*"))
    if written:
        raise Breach("\n".join(written))
    assert any(each.startswith(str(opened.data.resolve())) for each in held), "nothing is seen of what is open"


def _target(descriptor: Path) -> str:
    """What a descriptor of a process leads to; empty if it was closed meanwhile."""
    try:
        return str(descriptor.readlink())
    except OSError:
        return ""


#: Of the patient of the samples and of the texts put in: names, INS, birth place, what a code was changed into.
MARKS = ("ESSAI-UN", "ADELE LOUISE", "284103523811464", "Allée des Ormes", "CANARI-CODE", "CANARI-STATE")
