"""Whatever happens to a message, it is read or refused: no other exception, no lost byte, no answer without its reason."""

import time

from hypothesis import given
from hypothesis import strategies as st

from gateway.mappers.common.carrier import restore
from gateway.mappers.common.findings import MOST
from gateway.mappers.hl7v2.header import read_header
from gateway.mappers.hl7v2.read import Reading, read
from gateway.model.outcome import Rejection
from gateway.model.problem import Answer, Problem, Severity, Unreadable
from gateway.model.problems import CODES
from gateway.model.submission import Submission
from gateway.model.verdict import Verdict
from tests.strategies.messages import ADT_IO, DIRECTORY, MDM_REPLACE, ORU_TWO, Message

BASES = {name: Message(name) for name in (ADT_IO, MDM_REPLACE, ORU_TWO)}
SCRAPS = st.sampled_from(
    [
        "",
        '""',
        "Y",
        "N",
        "IO",
        "INO",
        "VALI",
        "PROV",
        "CA",
        "D",
        "20260310",
        "2026-13-01",
        "A~B~C",
        "^^^&&&^",
        "\\F\\",
        "\\X00\\",
        "é€",
        "^" * 9,
    ]
)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A sample with fields overwritten, segments dropped, doubled or moved."""
    base = BASES[draw(st.sampled_from(sorted(BASES)))]
    lines = list(base.lines)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(1, len(lines) - 1))
        match draw(st.sampled_from(("field", "field", "field", "drop", "double", "move"))):
            case "field":
                cells = lines[at].split("|")
                field = draw(st.integers(1, max(1, len(cells) - 1)))
                cells += [""] * (field + 1 - len(cells))
                cells[field] = draw(SCRAPS)
                lines[at] = "|".join(cells)
            case "drop" if len(lines) > 2:
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case _:
                lines.append(lines.pop(at))
    return "".join(f"{line}\r" for line in lines).encode()


def read_or_refused(payload: bytes, environment: str) -> Reading | tuple[Problem, ...]:
    try:
        header, message = read_header(payload)
        source = DIRECTORY.source(header.application, header.facility)
        assert source is not None
        return read(message, header, source, DIRECTORY, environment)
    except Unreadable as refused:
        return refused.problems


@given(mangled(), st.sampled_from(["production", "test"]))
def test_a_mangled_message_is_read_or_refused(payload: bytes, environment: str) -> None:
    reading = read_or_refused(payload, environment)
    if not isinstance(reading, Reading):
        assert all(problem.code in CODES for problem in reading)
        return
    errors = [problem for problem in reading.problems if problem.severity is Severity.ERROR]
    assert all(problem.code in CODES for problem in reading.problems)
    starts = [p.place.outermost.start for p in reading.problems if p.place and p.place.outermost.start is not None]
    assert starts == sorted(starts)
    if isinstance(reading.content, Rejection):
        assert bool(errors) is (reading.content.verdict is Verdict.REJECTED)
        assert reading.answer is (CODES[reading.content.problems[0].code].answer if errors else Answer.AA)
        assert sorted(map(repr, reading.content.problems)) == sorted(map(repr, reading.problems))
        assert reading.parts == ()
        return
    assert not errors
    assert reading.answer is Answer.AA
    assert reading.content.problems == reading.problems
    if isinstance(reading.content, Submission):
        assert restore(reading.parts, reading.content.carriers) == payload
        assert reading.content.patient.ins
        assert reading.content.establishments[0] == "chu-valmont"
    else:
        assert reading.content.identifiers


def test_many_of_everything_is_read_in_bounded_time() -> None:
    """Ten thousand repetitions and segments cost what they are long, not the square of it."""
    ids = "~".join(f"{number}^^^CH-LOINTAIN&990000075&M^PI" for number in range(9_000))
    names = "~".join(["A^B^^^^^S"] * 9_000)
    message = Message(ADT_IO)
    message.put("PID", 3, f"{message.get('PID', 3)}~{ids}").put("PID", 5, f"{names}~{message.get('PID', 5)}")
    many = Message(ORU_TWO)
    document = next(line for line in many.lines if line.startswith("OBX|1|"))
    cells = document.split("|")
    cells[5] = "^TEXT^XML^Base64^QQ=="
    many.lines += ["ORC|RO", "|".join(cells), "OBX|1|NM|1^x^LN||1", "OBX|1|CE|DESTDMP^x^MetaDMPMSS||N"] * 4_000
    began = time.process_time()
    for one in (message, many):
        reading = read_or_refused(one.payload, "test")
        assert isinstance(reading, Reading)
        assert len(reading.problems) == MOST
        assert int(reading.problems[-1].detail.split()[-2]) > 8_000 - MOST
        assert max(len(problem.detail) for problem in reading.problems) < 300
    assert time.process_time() - began < 20
