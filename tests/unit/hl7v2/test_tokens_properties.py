"""What holds of every message, built or damaged. (Example-based tests of the same reader: `test_tokens.py`.)"""

from collections.abc import Iterator
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from gateway.mappers.hl7v2.ack import read_ack, render
from gateway.mappers.hl7v2.header import digest, read_header, salvage
from gateway.mappers.hl7v2.tokens import Component, Message, Segment
from gateway.model.problem import Answer, Unreadable
from tests.strategies import er7

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


def leaves(segment: Segment) -> Iterator[Component]:
    """The smallest pieces, in order, by enumeration."""
    for field in segment.fields:
        for repetition in field.repetitions:
            for component in repetition.components:
                yield from component.subcomponents


@given(er7.messages())
def test_every_value_comes_back_as_it_was_meant(built: er7.Built) -> None:
    message = Message.read(built.payload, built.codec)
    assert [segment.name for segment in message.segments] == ["MSH", *(name for name, _ in built.segments)]
    for segment, (name, tree) in zip(message.segments[1:], built.segments, strict=True):
        assert segment.last == len(tree), name
        for f, cell in enumerate(tree, 1):
            assert len(segment.field(f).repetitions) == len(cell)
            for r, repetition in enumerate(cell, 1):
                assert len(segment.field(f).repetition(r).components) == len(repetition)
                for c, component in enumerate(repetition, 1):
                    assert len(segment.field(f).repetition(r).component(c).subcomponents) == len(component)
                    for s, (written, meant) in enumerate(component, 1):
                        assert segment.value(f, c, s, r) == meant
                        part = segment.field(f).repetition(r).component(c).subcomponent(s)
                        assert part.text == meant
                        assert part.is_null == (written == '""')


@given(er7.messages())
def test_a_value_cut_out_of_the_source_by_its_span_is_the_value(built: er7.Built) -> None:
    message = Message.read(built.payload, built.codec)
    for segment in message.segments:
        for part in leaves(segment):
            place = part.place
            cut = built.payload[place.start : place.end]
            assert cut == part.raw
            if part.at[0] > 2 or segment.name != "MSH":
                assert message.dialect.text(cut) == part.text == segment.value(part.at[0], *part.at[2:], repetition=part.at[1])
            # What the path says is what the place methods find.
            assert segment.place(*part.at) == place
            assert place.erl == (segment.name, str(segment.occurrence), *map(str, part.at))


@given(er7.messages())
def test_the_pieces_and_what_stands_between_them_are_the_payload(built: er7.Built) -> None:
    payload = built.payload
    message = Message.read(payload, built.codec)
    separators = {mark.encode(built.codec) for mark in built.separators}
    joined = b""
    for segment in message.segments:
        between = payload[len(joined) : segment.start]
        assert not between.removeprefix(b"\xef\xbb\xbf").strip(b"\r\n ")
        joined += between + segment.name.encode()
        for part in leaves(segment):
            gap = payload[len(joined) : part.start]
            assert gap in separators or (not gap and segment.name == "MSH" and part.at[0] <= 2)
            joined += gap + part.raw
        assert len(joined) == segment.end
        assert payload[segment.start : segment.end] == segment.raw
    assert joined + payload[len(joined) :] == payload
    assert not payload[len(joined) :].strip(b"\r\n ")


@given(er7.messages(), st.sampled_from(["\r", "\n", "\r\n", "\n\r"]))
def test_the_line_ends_change_nothing(built: er7.Built, end: str) -> None:
    one = Message.read(built.payload, built.codec)
    other = Message.read(built.text([end]).encode(built.codec), built.codec)
    assert [segment.cells for segment in one.segments] == [segment.cells for segment in other.segments]
    assert [segment.occurrence for segment in one.segments] == [segment.occurrence for segment in other.segments]


@given(er7.messages())
def test_a_built_message_has_its_header(built: er7.Built) -> None:
    header, message = read_header(built.payload)
    assert (header.message_type, header.application, header.charset) == ("ADT^A01", "GAM", er7.CHARSET[built.codec])
    assert message.dialect.codec == built.codec
    assert header == salvage(built.payload)


@given(er7.hostile)
def test_whatever_comes_is_read_or_refused_and_always_answered(payload: bytes) -> None:
    problems = ()
    try:
        header, message = read_header(payload)
        for segment in message.segments:
            for part in leaves(segment):
                assert payload[part.start : part.end] == part.raw
                assert "\0" not in part.text
    except Unreadable as refusal:
        problems = refusal.problems
        header = salvage(payload)
        for problem in problems:
            assert problem.place is None or problem.place.start is None or problem.place.start <= len(payload)
    assert len(digest(payload)) == 64
    answer = Answer.AE if problems else Answer.AA
    answered = read_ack(render(header, answer, problems, control_id="1", at=AT))
    assert answered.code == answer
    assert len(answered.errors) == len(problems)


@given(er7.messages(), st.text("0123456789", max_size=14))
def test_the_digest_leaves_out_the_time_and_nothing_else(built: er7.Built, time: str) -> None:
    payload = built.payload
    at = read_header(payload)[1].header.field(7)
    assert digest(payload[: at.start] + time.encode() + payload[at.end :]) == digest(payload)
    for other in (at.start - 2, at.end + len(built.separators[0].encode(built.codec)), len(payload) - 1):
        changed = bytearray(payload)
        changed[other] ^= 1
        assert digest(bytes(changed)) != digest(payload)
