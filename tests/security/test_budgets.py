"""
S3: every budget of a reader at one below, at, and one above its edge; and twice the input costs twice the work, not more.

Work is counted, not timed: lines of our own code that run, and bytes that are held at the highest.
"""

import gzip
import json
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

import pytest

from gateway.adapters.http import body, multipart
from gateway.adapters.http.call import MediaType, Refused
from gateway.adapters.mllp.frame import Frame, FrameReader
from gateway.mappers.cda import declared
from gateway.mappers.cda import xml as cda_xml
from gateway.mappers.cda.read import read as read_cda
from gateway.mappers.common.findings import Findings
from gateway.mappers.fhir import json as fhir_json
from gateway.mappers.hl7v2 import batch
from gateway.mappers.hl7v2.dialect import Limits
from gateway.mappers.hl7v2.header import HEAD_BYTES, LONGEST_CONTROL_ID, read_header
from gateway.mappers.hl7v2.tokens import Message
from gateway.model.problem import Unreadable
from gateway.queue import wire
from tests.harness.breach import Breach
from tests.security.hostile.case import sample
from tests.strategies.submissions import deposit

MSH = b"MSH|^~\\&|SIL-V|CHU-VALMONT|||20260101||ORU^R01^ORU_R01|%s|P|2.5|||||FRA|UNICODE UTF-8\r"
HEAD = MSH % b"1"
CDA = sample("cda/bio-adele-v1").decode()


@dataclass(frozen=True)
class Budget:
    """What is read at a size, and the largest size that is taken."""

    edge: int
    read: Callable[[int], object]


def er7(limits: Limits, segment: Callable[[int], bytes]) -> Callable[[int], object]:
    return lambda size: Message.read(HEAD + segment(size), "utf-8", limits)


def frame(size: int) -> None:
    (found,) = FrameReader(100).feed(b"\x0b" + b"x" * size + b"\x1c\r")
    if not isinstance(found, Frame):
        raise Unreadable


def xml(document: Callable[[int], bytes], **limits: int) -> Callable[[int], object]:
    return lambda size: cda_xml.parse(document(size), limits=cda_xml.Limits(**limits))


def resource(value: Callable[[int], str], **limits: int) -> Callable[[int], object]:
    def read(size: int) -> None:
        fhir_json.load(b'{"a":' + value(size).encode() + b"}", limits=fhir_json.Limits(**limits))

    return read


def form(size: int) -> None:
    kind = MediaType(name="multipart/form-data", parameters={"boundary": "b"})
    parts = b"".join(b'--b\r\nContent-Disposition: form-data; name="p%d"\r\n\r\nx\r\n' % number for number in range(size))
    multipart.parts(parts + b"--b--\r\n", kind)


def beside(size: int) -> None:
    findings = Findings()
    part = b'{"act":"add"' + b" " * (size - len(b'{"act":"add"}')) + b"}"
    assert len(part) == size
    declared.read({}, part, findings)
    if findings.errors:
        raise Unreadable(*findings.errors)


BUDGETS = {
    "bytes of a frame": Budget(100, frame),
    "segments": Budget(50, er7(Limits(segments=51), lambda n: b"NTE|1\r" * n)),
    "fields": Budget(40, er7(Limits(fields=40), lambda n: b"NTE" + b"|" * n + b"\r")),
    "repetitions": Budget(
        40, er7(Limits(repetitions=40, components=9, subcomponents=9), lambda n: b"NTE|" + b"~".join([b"x"] * n))
    ),
    "components": Budget(
        40, er7(Limits(repetitions=9, components=40, subcomponents=9), lambda n: b"NTE|" + b"^".join([b"x"] * n))
    ),
    "sub-components": Budget(
        40, er7(Limits(repetitions=9, components=9, subcomponents=40), lambda n: b"NTE|" + b"&".join([b"x"] * n))
    ),
    "separators of a message": Budget(
        100 - sum(map(HEAD.count, (b"|", b"^", b"~", b"&"))), er7(Limits(pieces=100), lambda n: b"NTE" + b"|" * n)
    ),
    "bytes of MSH": Budget(HEAD_BYTES - len(HEAD), lambda n: read_header(HEAD[:-1] + b"|" + b"x" * n + b"\r")),
    "characters of MSH-10": Budget(LONGEST_CONTROL_ID, lambda n: read_header(MSH % (b"x" * n))),
    "messages of a batch": Budget(20, lambda n: batch.cut(HEAD * n, 20)),
    "bytes of a document": Budget(1000, xml(lambda n: b"<a>" + b"x" * (n - 7) + b"</a>", document_limit_bytes=1000)),
    "elements inside each other": Budget(30, xml(lambda n: b"<a>" * n + b"</a>" * n, depth_limit_elements=30)),
    "tags and attributes": Budget(100, xml(lambda n: b"<a>" + b"<!---->" * (n - 2) + b"</a>", marks_limit=100)),
    "levels of JSON": Budget(20, resource(lambda n: "[" * (n - 1) + "1" + "]" * (n - 1), depth_limit=20)),
    "values of JSON": Budget(50, resource(lambda n: "[" + "1," * (n - 3) + "1]", marks_limit=50)),
    "digits of a number": Budget(32, resource(lambda n: "1" * n)),
    "digits of a decimal": Budget(32, resource(lambda n: "1." + "1" * (n - 2))),
    "an exponent": Budget(30, resource(lambda n: f"1e{n}")),
    "a negative exponent": Budget(30, resource(lambda n: f"1e-{n}")),
    "characters of a key": Budget(64, resource(lambda n: '{"%s":1}' % ("a" * n))),
    "parts of a form": Budget(multipart.MOST_PARTS, form),
    "bytes that are unpacked": Budget(500, lambda n: body.unpack(gzip.compress(b"x" * n, mtime=0), "gzip", 500)),
    "bytes declared beside a CDA": Budget(declared.LONGEST_PART, beside),
}


@pytest.mark.parametrize("name", BUDGETS)
def test_a_budget_at_its_edge(name: str) -> None:
    budget = BUDGETS[name]
    for size in (budget.edge - 1, budget.edge):
        budget.read(size)
    with pytest.raises((Unreadable, Refused)):
        budget.read(budget.edge + 1)


# -- twice as much


def message(count: int) -> bytes:
    return HEAD + b"".join(b"OBX|%d|NM|1234-5^x^LN||%d|mg/l^x&y|0~1|||\\T\\|F\r" % (number, number) for number in range(count))


def values(count: int) -> bytes:
    return json.dumps({"resourceType": "Bundle", "entry": [{"a": [{"b": "é", "c": 1.50}]} for _ in range(count)]}).encode()


def walked(data: bytes) -> None:
    for segment in Message.read(data, "utf-8").segments:
        for field in segment.fields:
            for repetition in field.repetitions:
                for component in repetition.components:
                    _ = component.text


GROWING: dict[str, tuple[int, Callable[[int], bytes], Callable[[bytes], object]]] = {
    "frames": (100, lambda n: (b"\x0b" + b"x" * 100 + b"\x1c\r") * n, lambda data: FrameReader(1000).feed(data)),
    "bytes of a frame in pieces": (
        100,
        lambda n: b"\x0b" + b"x" * 1000 * n,
        lambda data: (reader := FrameReader(1 << 30)) and [reader.feed(data[at : at + 1000]) for at in range(0, len(data), 1000)],
    ),
    "segments": (200, message, read_header),
    "segments, walked": (100, message, walked),
    "fields": (200, lambda n: HEAD + b"NTE" + b"|x" * n, walked),
    "repetitions": (500, lambda n: HEAD + b"NTE|" + b"~x" * n, walked),
    "components": (200, lambda n: HEAD + b"NTE|" + b"^x" * n, walked),
    "escapes": (500, lambda n: HEAD + b"NTE|" + b"\\T\\" * n, walked),
    "escapes that never end": (500, lambda n: HEAD + b"NTE|" + b"\\" * (2 * n + 1), walked),
    "hexadecimal escapes": (500, lambda n: HEAD + b"NTE|" + b"\\X41\\" * n, walked),
    "line ends": (1000, lambda n: HEAD + b"\r\n" * n, read_header),
    "messages of a batch": (100, lambda n: HEAD * n, batch.cut),
    "lines of a batch": (400, lambda n: b"BHS|^~\\&|\r" + HEAD + b"NTE|1\r" * n + b"BTS|1\r", batch.cut),
    "authors of a document": (
        50,
        lambda n: CDA.replace("</recordTarget>", "</recordTarget>" + "<author><time nullFlavor='NA'/></author>" * n, 1).encode(),
        lambda data: refusing(read_cda, data),
    ),
    "patients of a document": (
        50,
        lambda n: CDA.replace("<recordTarget>", "<recordTarget><patientRole/></recordTarget>" * n + "<recordTarget>", 1).encode(),
        lambda data: refusing(read_cda, data),
    ),
    "templates of a document": (
        200,
        lambda n: CDA.replace("<id ", "<templateId root='1.2.3'/>" * n + "<id ", 1).encode(),
        lambda data: refusing(read_cda, data),
    ),
    "paragraphs of a document": (
        500,
        lambda n: CDA.replace("<text>", "<text>" + "<paragraph>x</paragraph>" * n, 1).encode(),
        lambda data: refusing(read_cda, data),
    ),
    "values of JSON": (200, values, fhir_json.load),
    "faults of JSON": (500, lambda n: b'{"a":[' + b"NaN," * n + b"1]}", lambda data: refusing(fhir_json.load, data)),
    "parts of a deposit": (20, lambda n: wire.encode(deposit(contents=(b"x" * 500,) * n)), wire.decode),
}
SLOPE = 2.2


def refusing(read: Callable[[bytes], object], data: bytes) -> None:
    try:
        read(data)
    except Unreadable:
        return


def lines_run(work: Callable[[], object]) -> int:
    """How many lines of our own code run."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if "gateway" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def bytes_held(work: Callable[[], object]) -> int:
    """The most that Python held at once."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", GROWING)
def test_twice_the_input_is_twice_the_work(name: str) -> None:
    size, made, read = GROWING[name]
    small, large = made(size), made(2 * size)
    read(small)
    for measure, floor in ((lines_run, 100), (bytes_held, 20_000)):
        one, two = measure(lambda: read(small)), measure(lambda: read(large))
        if two > SLOPE * one + floor:
            raise Breach(f"{name}: {measure.__name__} {one} for {size}, {two} for twice as much")


def test_work_that_grows_faster_is_seen() -> None:
    def quadratic(count: int) -> int:
        namespace: dict[str, Any] = {}
        source = "def work(count):\n  found = 0\n  for a in range(count):\n    for b in range(count):\n      found += b\n"
        exec(compile(source, "gateway/quadratic.py", "exec"), namespace)
        return lines_run(lambda: namespace["work"](count))

    assert quadratic(40) > SLOPE * quadratic(20)
