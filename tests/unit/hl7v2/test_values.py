"""Identifiers have a longest form."""

import pytest

from gateway.mappers.hl7v2.tokens import Message as Tokens
from gateway.mappers.hl7v2.values import cx, part, value
from gateway.model.event import PatientEvent, Position
from gateway.model.problem import Severity, Unreadable
from tests.strategies.messages import ADT_IO, Message, read_message


@pytest.mark.parametrize("length", [249, 250, 251])
@pytest.mark.parametrize(("segment", "field"), [("PV1", 19), ("TXA", 12), ("TXA", 13)])
def test_the_longest_identifier(segment: str, field: int, length: int) -> None:
    text = "é" * length
    line = f"{segment}{'|' * field}a~{text}^^^{text}&x^PI"
    found = Tokens.read(f"MSH|^~\\&|A\r{line}\r".encode(), "utf-8").all(segment)[0]
    asked = (
        (lambda: value(found, field, repetition=2), 1),
        (lambda: part(found.field(field).repetition(2), 1), 1),
        (lambda: value(found, field, 4, repetition=2), 4),
        (lambda: part(found.field(field).repetition(2), 4), 4),
    )
    for ask, component in asked:
        if length <= 250:
            assert ask() == text
            continue
        with pytest.raises(Unreadable) as caught:
            ask()
        assert str(caught.value) == f"FIELD_INVALID at {segment}[1]-{field}[2].{component}"
    first = cx(found, field)
    assert first is not None
    assert first.value == "a"


def test_other_values_may_be_longer() -> None:
    note = Tokens.read(b"MSH|^~\\&|A\rNTE|1||" + b"x" * 251 + b"\r", "ascii").all("NTE")[0]
    assert value(note, 3) == "x" * 251


def test_a_visit_of_a_number_too_long_costs_no_statement() -> None:
    reading = read_message(Message(ADT_IO).put("ZFA", 11, "INC").put("PV1", 19, "1" * 251))
    assert isinstance(reading.content, PatientEvent)
    assert [statement.position for statement in reading.content.statements] == [Position.OPPOSES, Position.OPPOSES]
    assert all(statement.visit is None for statement in reading.content.statements)
    (problem,) = [known for known in reading.problems if known.code == "FIELD_INVALID"]
    assert (str(problem.place), problem.severity) == ("PV1[1]-19[1].1", Severity.WARNING)
