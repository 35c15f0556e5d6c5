"""Several messages in one payload: cut, refused whole, and answered by a batch."""

import hl7
import pytest
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mappers.hl7v2 import batch
from gateway.mappers.hl7v2.ack import read_ack, render
from gateway.mappers.hl7v2.header import read_head, salvage
from gateway.model.problem import Answer, Unreadable
from tests.strategies.batches import Made, batches, message
from tests.unit.mllp.doubles import NOW

FHS, BHS = b"FHS|^~\\&|A|B|C|D|20260313||f.hl7||F-1\r", b"BHS|^~\\&|A|B|C|D|20260313||||B-1\r"
ONE, TWO = message("M-1"), message("M-2")


def refused(payload: bytes, most: int = batch.MOST_MESSAGES) -> tuple[str, str]:
    with pytest.raises(Unreadable) as caught:
        batch.cut(payload, most)
    (problem,) = caught.value.problems
    assert problem.place is not None
    return problem.code, problem.place.path


def cut_or_refused(payload: bytes) -> tuple[str, batch.Bundle | None]:
    try:
        return "", batch.cut(payload)
    except Unreadable as error:
        return error.problems[0].code, None


@given(batches())
def test_a_batch_is_cut_into_its_messages(made: Made) -> None:
    bundle = batch.cut(made.payload)
    assert bundle is not None
    assert (bundle.file is not None) == made.file
    found = [(group.head is not None, tuple(read_head(each)[0].control_id for each in group.messages)) for group in bundle.groups]
    assert found == list(made.groups)
    # Joined with the lines of the envelope they are the payload: nothing is lost, nothing is in two.
    at = 0
    for each in bundle.messages:
        at = made.payload.index(each, at) + len(each)


@given(batches(), st.data())
def test_a_batch_that_lacks_a_line_of_its_envelope_or_counts_wrong_is_refused_whole(made: Made, data: st.DataObject) -> None:
    lines = made.payload.replace(b"\r\n", b"\r").replace(b"\n", b"\r").split(b"\r")[:-1]
    at = [number for number, line in enumerate(lines) if line[:3] in {b"FHS", b"BHS", b"BTS", b"FTS"}]
    if not at:
        return
    where = data.draw(st.sampled_from(at))
    fault = data.draw(st.sampled_from(["lacks", "twice", "counts"]))
    name = lines[where][:3]
    if fault == "counts":
        if name not in {b"BTS", b"FTS"}:
            return
        lines[where] = name + data.draw(st.sampled_from([b"|99", b"|-1", b"|1.0", b"|x", b"|999999999999"]))
    elif fault == "lacks":
        del lines[where]
    else:
        lines.insert(where, lines[where])
    code, found = cut_or_refused(b"\r".join([*lines, b""]))
    if code:
        assert code in {"BATCH_INVALID", "BATCH_COUNT", "MESSAGE_TRUNCATED"}
        return
    # What is left is no batch any more, or one of another shape: a line of an envelope stands nowhere inside a message.
    assert fault == "lacks"
    assert found is None or all(b"BTS" not in each and b"BHS" not in each and b"FTS" not in each for each in found.messages)


@pytest.mark.parametrize(
    ("payload", "code", "path"),
    [
        (BHS + ONE + TWO + b"BTS|3\r", "BATCH_COUNT", "BTS[1]-1"),
        (BHS + ONE + b"BTS|one\r", "BATCH_COUNT", "BTS[1]-1"),
        (FHS + BHS + ONE + b"BTS|1\rFTS|2\r", "BATCH_COUNT", "FTS[1]-1"),
        (FHS + ONE + TWO + b"FTS|3\r", "BATCH_COUNT", "FTS[1]-1"),
        (BHS + ONE, "MESSAGE_TRUNCATED", "BTS[1]"),
        (FHS + BHS + ONE + b"BTS|1\r", "MESSAGE_TRUNCATED", "FTS[1]"),
        (FHS + ONE, "MESSAGE_TRUNCATED", "FTS[1]"),
        (BHS + ONE + BHS + TWO + b"BTS|1\r", "BATCH_INVALID", "BHS[2]"),
        (FHS + FHS + ONE + b"FTS\r", "BATCH_INVALID", "FHS[2]"),
        (FHS + BHS + ONE + b"FTS\r", "BATCH_INVALID", "FTS[1]"),
        (ONE + TWO + b"BTS|2\r", "BATCH_INVALID", "BTS[1]"),
        (ONE + TWO + b"FTS|1\r", "BATCH_INVALID", "FTS[1]"),
        (FHS + ONE + b"FTS|1\r" + TWO, "BATCH_INVALID", "MSH[2]"),
        (FHS + b"NTE|1||x\r" + ONE + b"FTS|1\r", "BATCH_INVALID", "FHS[1]"),
        (BHS + ONE + b"BTS|1\rNTE|1||x\r", "BATCH_INVALID", "BTS[1]"),
    ],
)
def test_what_is_no_batch_is_refused_with_its_place(payload: bytes, code: str, path: str) -> None:
    assert refused(payload) == (code, path)


def test_so_many_messages_are_taken_and_no_more() -> None:
    assert batch.cut(ONE * 3, 3) is not None
    assert refused(ONE * 4, 3) == ("CARDINALITY", "MSH[4]")


@pytest.mark.parametrize("payload", [ONE, b"", b"\r\r", b"PID|1\rMSH|", b"BTS|1\r", b"XHS\r" + ONE])
def test_what_is_one_message_or_none_is_no_batch(payload: bytes) -> None:
    assert batch.cut(payload) is None


def test_an_empty_batch_is_one() -> None:
    bundle = batch.cut(FHS + BHS + b"BTS|0\rFTS|1\r")
    assert bundle is not None
    assert bundle.messages == ()
    answer = batch.render(bundle, [[]], control_id="X", at=NOW)
    assert answer is not None
    assert answer.split(b"\r")[1:] == [b"BTS|0", b""]


@pytest.mark.parametrize("line", [b"MSHX|1", b"BHSA", b"  MSH|^~\\&|"])
def test_a_line_that_only_begins_like_one_begins_nothing(line: bytes) -> None:
    """Of a field that was cut by a line end, or of base64."""
    bundle = batch.cut(ONE + line + b"\r" + TWO)
    assert bundle is not None
    assert len(bundle.messages) == 2


@pytest.mark.parametrize("count", [b"2", b"1"])
def test_the_batches_of_a_file_without_any_are_counted_in_either_way(count: bytes) -> None:
    """node-hl7-client counts each message of such a file; others count one batch."""
    assert batch.cut(FHS + ONE + TWO + b"FTS|" + count + b"\r") is not None


def test_who_sends_a_batch_is_known_before_it_is_read() -> None:
    header = batch.salvaged(FHS + BHS + ONE)
    assert header is not None
    assert (header.application, header.facility, header.control_id) == ("GAM-V", "CHU-VALMONT", "F-1")
    assert (header.message_type, header.version) == ("", "2.5")
    bare = batch.salvaged(b"FHS|^~\\&|A|B\rBHS|^~\\&|A|B|||||||B-9\r")
    assert bare is not None
    assert (bare.application, bare.control_id) == ("A", "B-9")
    assert batch.salvaged(ONE) is None
    assert batch.salvaged(b"FHS") is not None


@settings(max_examples=40)
@given(batches(), st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30))
def test_the_answer_is_a_batch_that_readers_we_did_not_write_read(made: Made, text: str) -> None:
    bundle = batch.cut(made.payload)
    assert bundle is not None
    acks = [
        [
            render(salvage(each), Answer.AA, (), control_id=f"A-{number}", at=NOW, reference=text)
            for number, each in enumerate(group.messages)
        ]
        for group in bundle.groups
    ]
    answer = batch.render(bundle, acks, control_id="ANSWER", at=NOW)
    if not made.ids and not made.file and not any(headed for headed, _ in made.groups):
        assert answer is None
        return
    assert answer is not None
    again = batch.cut(answer) if len(made.ids) > 1 or made.file or made.groups[0][0] else None
    if again is None:
        assert [read_ack(answer).control_id] == made.ids
        return
    assert [read_ack(each).control_id for each in again.messages] == made.ids
    wrapped = [group for group in again.groups if group.head is not None]
    references = [line.split(b"|")[11] for line in answer.split(b"\r") if line.startswith(b"BHS")]
    assert len(references) == len(wrapped)
    assert set(references) <= {b"F-1", b"B-1", b"B-2", b"B-3"}
    for each in again.messages:
        assert parse_message(each.decode("utf-8"), find_groups=False).msa.msa_1.value == "AA"
    if len(wrapped) == 1 == len(again.groups):
        assert [str(each.segment("MSA")(2)) for each in hl7.parse_batch(answer.decode("utf-8"))] == made.ids


def test_the_addresses_of_the_answer_are_turned_and_escaped() -> None:
    to = b"BHS|^~\\&|A\\F\\Z^1.2^ISO|B|C|D|20260313||||L\\S\\1\r"
    bundle = batch.cut(to + ONE + b"BTS|1\r")
    assert bundle is not None
    answer = batch.render(bundle, [[b"MSH|^~\\&|\r"]], control_id="X", at=NOW)
    assert answer is not None
    fields = answer.split(b"\r")[0].split(b"|")
    assert fields[2:6] == [b"C", b"D", b"A\\F\\Z^1.2^ISO", b"B"]
    assert fields[10:] == [b"XB1", b"L\\S\\1"]
