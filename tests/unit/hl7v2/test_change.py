"""A47 and A40: what counts from now on, what no longer does, and what is taken back."""

import pytest

from gateway.model.event import FileMerge, IdentifierChange, Position
from gateway.model.outcome import Rejection
from gateway.model.problem import Answer
from gateway.model.source import Grant
from tests.strategies.messages import ADT_IO, ADT_UPDATE, INS, IPP, Message, codes, event, read_message

OLD = "100901^^^CHU-VALMONT&990000018&M^PI"
FOREIGN = "77-204^^^CH-LOINTAIN&990000075&M^PI"
OTHER = INS.replace("284103523811464", "212061305520911")
NIA = INS.replace(".4.10", ".4.9").replace("284103523811464", "260058815400233")
WRONG = INS.replace("811464", "811463")
ERASED = INS.replace("284103523811464", '""')


def change(pid3: str, mrg: str | None, status: str = "VALI", trigger: str = "A47", sample: str = ADT_UPDATE) -> Message:
    """An event of identity: PID-3, PID-32 and MRG-1 as given."""
    message = Message(sample).put("MSH", 9, f"ADT^{trigger}^ADT_A30").put("PID", 3, pid3).put("PID", 32, status)
    return message if mrg is None else message.add(f"MRG|{mrg}")


def read(message: Message, **how: object) -> tuple[list[str], list[str], bool]:
    """Values that count, values that do not, and whether an INS is taken back."""
    reading = read_message(message, **how)
    assert isinstance(reading.content, IdentifierChange), codes(reading)
    assert reading.answer is Answer.AA
    found = reading.content
    assert found.identity.identifiers == found.identifiers
    return [one.value for one in found.identifiers], [one.value for one in found.former], found.withdrawn


@pytest.mark.parametrize(
    ("pid3", "mrg", "status", "found"),
    [
        # One INS replaces another.
        (f"{OTHER}~{IPP}", INS, "VALI", (["212061305520911", "100001"], ["284103523811464"], False)),
        (OTHER, INS, "VALI", (["212061305520911"], ["284103523811464"], False)),
        # A number replaces another, whatever the status.
        (IPP, OLD, "VALI", (["100001"], ["100901"], False)),
        (IPP, OLD, "PROV", (["100001"], ["100901"], False)),
        (f"{INS}~{IPP}", OLD, "VALI", (["284103523811464", "100001"], ["100901"], False)),
        # The INS is erased.
        (f"{ERASED}~{IPP}", INS, "VALI", (["100001"], ["284103523811464"], True)),
        (ERASED, INS, "PROV", ([], ["284103523811464"], True)),
        (f"{ERASED}~{IPP}", IPP, "VALI", (["100001"], [], True)),
        (f"{ERASED}~{IPP}", None, "VALI", (["100001"], [], True)),
        # It is not qualified any more.
        (IPP, INS, "PROV", (["100001"], ["284103523811464"], True)),
        (f"{INS}~{IPP}", IPP, "PROV", (["100001"], ["284103523811464"], True)),
        (f"{INS}~{IPP}", INS, "VALI~DOUT", (["100001"], ["284103523811464"], True)),
        (IPP, IPP, "PROV", (["100001"], [], True)),
        (f"{INS}~{IPP}", OLD, "PROV", (["100001"], ["100901", "284103523811464"], True)),
        # What takes its place cannot be used: nothing does.
        (f"{WRONG}~{IPP}", INS, "VALI", (["100001"], ["284103523811464"], True)),
        (f"{INS}~{OTHER}~{IPP}", NIA, "VALI", (["100001"], ["260058815400233"], True)),
        # Of a NIA erased beside its NIR only the NIA goes.
        (
            f"{ERASED.replace('.4.10', '.4.9')}~{INS}~{IPP}",
            NIA,
            "VALI",
            (["284103523811464", "100001"], ["260058815400233"], False),
        ),
        # Another establishment's number in MRG-1 says nothing: what PID-3 joins is joined.
        (f"{INS}~{IPP}", FOREIGN, "VALI", (["284103523811464", "100001"], [], False)),
    ],
)
def test_what_an_a47_says(pid3: str, mrg: str | None, status: str, found: tuple[list[str], list[str], bool]) -> None:
    assert read(change(pid3, mrg, status)) == found


@pytest.mark.parametrize(
    ("pid3", "mrg", "expected"),
    [
        (FOREIGN, OLD.replace("CHU-VALMONT&990000018", "CH-LOINTAIN&990000075"), ("EVENT_UNUSABLE", "E", "PID[1]-3")),
        (IPP, FOREIGN, ("EVENT_UNUSABLE", "E", "MRG[1]-1")),
        (IPP, IPP, ("EVENT_UNUSABLE", "E", "MRG[1]-1")),
        (IPP, None, ("SEGMENT_MISSING", "E", "MRG[1]")),
    ],
)
def test_an_a47_of_which_nothing_can_be_used(pid3: str, mrg: str | None, expected: tuple[str, str, str]) -> None:
    reading = read_message(change(pid3, mrg))
    assert isinstance(reading.content, Rejection)
    assert reading.answer is Answer.AE
    assert expected in codes(reading)
    assert [each for each in codes(reading) if each[1] == "E"] == [expected]


def test_production_takes_no_test_root_from_either_side() -> None:
    assert read(change(f"{OTHER}~{IPP}", OLD), environment="production") == (["100001"], ["100901"], False)
    reading = read_message(change(IPP, INS), environment="production")
    assert ("INS_UNQUALIFIED_DROPPED", "W", "MRG[1]-1[1]") in codes(reading)


@pytest.mark.parametrize("code", ["A40", "A47"])
def test_only_a_source_that_may_merge_says_so(code: str) -> None:
    allowed = frozenset({Grant.LINK_IDENTITY, Grant.STATE_OPPOSITION, Grant.LIFT_OPPOSITION})
    reading = read_message(change(f"{INS}~{IPP}", OLD, trigger=code), grants=allowed)
    assert isinstance(reading.content, Rejection)
    assert (reading.answer, codes(reading)) == (Answer.AE, [("SOURCE_NOT_ALLOWED", "E", "MSH[1]-3")])
    assert reading.problems[0].detail == "merge_identity"


def test_what_an_a47_states_is_kept() -> None:
    found = read_message(change(f"{OTHER}~{IPP}", INS, sample=ADT_IO)).content
    assert isinstance(found, IdentifierChange)
    assert [one.position for one in found.statements] == [Position.OPPOSES]


def test_several_patients_in_one_a47() -> None:
    message = change(IPP, OLD)
    assert [each[0] for each in codes(read_message(message.add(f"PID|2||{OLD}")))] == ["CARDINALITY"]


def test_a_merge_of_two_files() -> None:
    found = read_message(change(f"{IPP}~{INS}", f"{OLD}~{FOREIGN}", trigger="A40"))
    assert isinstance(found.content, FileMerge)
    assert [one.value for one in found.content.identifiers] == ["284103523811464", "100001"]
    assert [one.value for one in found.content.absorbed] == ["100901"]
    assert (found.content.signed_by, codes(found)) == ((), [("IDENTIFIER_FOREIGN", "W", "MRG[1]-1[2]")])


def test_the_ins_of_the_file_that_disappears_needs_no_status() -> None:
    """Whether two INS may be merged is for the store to refuse: it has to know of both."""
    found = read_message(change(IPP, f"{OLD}~{INS}", "PROV", trigger="A40")).content
    assert isinstance(found, FileMerge)
    assert [one.value for one in found.absorbed] == ["284103523811464", "100901"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (change(FOREIGN, OLD, trigger="A40"), ("EVENT_UNUSABLE", "E", "PID[1]-3")),
        (change(FOREIGN, None, trigger="A40"), ("EVENT_UNUSABLE", "E", "PID[1]-3")),
        (change(IPP, FOREIGN, trigger="A40"), ("EVENT_UNUSABLE", "E", "MRG[1]-1")),
        (change(IPP, None, trigger="A40"), ("SEGMENT_MISSING", "E", "MRG[1]")),
        (change(IPP, OLD, trigger="A40").add("MRG|100902^^^CHU-VALMONT^PI"), ("NOT_HANDLED", "E", "MSH[1]-9")),
        (change(IPP, OLD, trigger="A40").add("PID|2||100003^^^CHU-VALMONT^PI"), ("NOT_HANDLED", "E", "MSH[1]-9")),
        (change(IPP, OLD, trigger="A40", sample=ADT_IO), ("NOT_HANDLED", "E", "MSH[1]-9")),
    ],
)
def test_a_merge_that_cannot_be_read(message: Message, expected: tuple[str, str, str]) -> None:
    reading = read_message(message)
    assert isinstance(reading.content, Rejection)
    assert [each for each in codes(reading) if each[1] == "E"] == [expected]
    assert reading.answer is (Answer.AR if expected[0] == "NOT_HANDLED" else Answer.AE)


@pytest.mark.parametrize(("rank", "twin"), [("", False), ("1", True), ("2", True), ('""', False)])
@pytest.mark.parametrize(("status", "homonym"), [("VALI", False), ("VALI~HOMA", True)])
def test_who_shares_the_traits(rank: str, twin: bool, status: str, homonym: bool) -> None:
    found = event(Message(ADT_UPDATE).put("PID", 25, rank).put("PID", 32, status)).identity
    assert (found.twin, found.is_shared, found.is_qualified) == (twin, twin or homonym, True)
