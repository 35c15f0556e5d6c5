"""ADT: identifiers that may be used, links, and what is said in ZFA."""

import pytest

from gateway.mappers.hl7v2.triggers import TRIGGERS
from gateway.model.event import PatientEvent, Position, Right, Scope, Side, StayState
from gateway.model.outcome import Rejection
from gateway.model.problem import Answer
from gateway.model.source import Grant
from gateway.model.verdict import Verdict
from tests.strategies.messages import ADT_INO, ADT_IO, ADT_UPDATE, INS, IPP, Message, codes, event, read_message, rejection

FOREIGN = "77-204^^^CH-LOINTAIN&990000075&M^PI"
NEIGHBOUR = "A-5501^^^CLINIQUE-AUBIER&990000042&M^PI"
WRONG = INS.replace("811464", "811463")
NIA = INS.replace(".4.10", ".4.9").replace("284103523811464", "260058815400233")
OTHER = INS.replace("284103523811464", "212061305520911")
GAM = frozenset({Grant.STATE_OPPOSITION, Grant.LIFT_OPPOSITION, Grant.LINK_IDENTITY})


def trigger(message: Message, code: str) -> Message:
    return message.put("MSH", 9, f"ADT^{code}^ADT_A01").put("EVN", 1, "")


def keys(found: PatientEvent) -> list[str]:
    return [known.value for known in found.identifiers]


def test_an_opposition() -> None:
    found = event(Message(ADT_IO).put("ZFA", 11, "INC").put("ZFA", 12, "20260310"))
    feeding, consultation = found.statements
    assert (feeding.right, feeding.position, feeding.side) == (Right.FEEDING, Position.OPPOSES, Side.ESTABLISHMENT)
    assert (feeding.scope, feeding.scope_value, feeding.collected_by) == (Scope.ESTABLISHMENT, "chu-valmont", "chu-valmont")
    assert (feeding.basis, feeding.visit) == ("ZFA-10", None)
    assert feeding.collected_at is not None
    assert feeding.collected_at.written == "20260310083000"
    assert feeding.place is not None
    assert feeding.place.path == "ZFA[1]-9"
    assert (consultation.right, consultation.position, consultation.basis) == (Right.CONSULTATION, Position.OPPOSES, "ZFA-12")
    assert consultation.visit is not None
    assert consultation.visit.value == "V100001"
    assert found.links
    assert set(keys(found)) == {"100001", "284103523811464"}


def test_what_lifts() -> None:
    found = event(Message(ADT_INO).put("ZFA", 11, "IC"))
    assert [(one.right, one.position) for one in found.statements] == [
        (Right.FEEDING, Position.ALLOWS),
        (Right.CONSULTATION, Position.ALLOWS),
    ]


@pytest.mark.parametrize("written", ["NA", ""])
def test_not_collected_says_nothing(written: str) -> None:
    reading = read_message(Message(ADT_IO).put("ZFA", 9, written))
    assert isinstance(reading.content, PatientEvent)
    assert (reading.content.statements, reading.problems) == ((), ())


@pytest.mark.parametrize(
    ("written", "code"), [('""', "ZFA_NULL"), ("OUI", "ZFA_VALUE"), ("^Opposition", "ZFA_VALUE"), ("INC", "ZFA_VALUE")]
)
def test_what_is_not_of_the_table_is_left_out_with_a_warning(written: str, code: str) -> None:
    for field in (9, 11):
        if (field, written) == (11, "INC"):
            continue
        reading = read_message(Message(ADT_IO).put("ZFA", 9, "").put("ZFA", field, written))
        assert isinstance(reading.content, PatientEvent)
        assert reading.content.statements == ()
        assert codes(reading) == [(code, "W", f"ZFA[1]-{field}")]
        assert reading.answer is Answer.AA


@pytest.mark.parametrize("field", [9, 11])
@pytest.mark.parametrize(
    ("written", "position", "noted"),
    [
        ("NA~{o}", Position.OPPOSES, []),
        ("{a}~{o}", Position.OPPOSES, []),
        ("{o}~{a}", Position.OPPOSES, []),
        ("~{o}", Position.OPPOSES, []),
        ("^^^{o}^Opposition^L", Position.OPPOSES, []),
        ("{a}^x^L^{o}^y^M", Position.OPPOSES, []),
        ("X1^x^L^{o}", Position.OPPOSES, []),
        ('""~{o}', Position.OPPOSES, ["ZFA_NULL"]),
        ("OUI~{o}", Position.OPPOSES, ["ZFA_VALUE"]),
        ("  {l}\u00a0", Position.OPPOSES, []),
        ("NA~{a}", Position.ALLOWS, []),
        ("^^^{a}", Position.ALLOWS, []),
        ("{a}^x^L^X1^y^local", Position.ALLOWS, []),
        # What cannot be read may oppose: nothing is lifted beside it.
        ("{a}~OUI", None, ["ZFA_VALUE"]),
        ('{a}~""', None, ["ZFA_NULL"]),
        ("NA~OUI", None, ["ZFA_VALUE"]),
        ("na", None, []),
    ],
)
def test_what_protects_most_is_taken(field: int, written: str, position: Position | None, noted: list[str]) -> None:
    opposes, allows = ("IO", "INO") if field == 9 else ("INC", "IC")
    text = written.format(o=opposes, a=allows, l=opposes.lower())
    found = event(Message(ADT_IO).put("ZFA", 9, "").put("ZFA", field, text))
    assert [one.position for one in found.statements] == ([] if position is None else [position])
    assert [(p.code, p.severity.err4) for p in found.problems] == [(code, "W") for code in noted]


def test_of_too_many_zfa_those_that_oppose_are_read() -> None:
    message = Message(ADT_IO).put("ZFA", 9, "INO")
    for _ in range(20):
        message.add("ZFA|ACTIF||||||||INO|20260311")
    assert [one.position for one in event(message).statements] == [Position.ALLOWS] * 8
    found = event(message.add("ZFA|ACTIF||||||||IO|20260310"))
    assert [(one.position, one.place and one.place.path) for one in found.statements] == [(Position.OPPOSES, "ZFA[22]-9")]
    assert [p.detail for p in found.problems][-1] == "22 ZFA: 8 were read, what opposes first"
    assert {(p.code, p.severity.err4) for p in found.problems} == {("CARDINALITY", "W")}


def test_obsolete_fields_say_nothing() -> None:
    message = Message(ADT_IO).put("ZFA", 9, "")
    for field in range(4, 9):
        message.put("ZFA", field, "IO")
    assert event(message).statements == ()


def test_a_visit_number_that_is_too_long_costs_no_statement() -> None:
    found = event(Message(ADT_IO).put("ZFA", 11, "INC").put("PV1", 19, "V" * 251))
    assert [(one.right, one.visit) for one in found.statements] == [(Right.FEEDING, None), (Right.CONSULTATION, None)]
    assert [(p.code, p.severity.err4) for p in found.problems] == [("FIELD_INVALID", "W")]


def test_where_the_date_comes_from() -> None:
    message = Message(ADT_IO).put("ZFA", 10, "").put("EVN", 2, "20260309").put("MSH", 7, "20260308")
    bases = []
    for segment, field in (("EVN", 2), ("MSH", 7), (None, None)):
        (statement,) = event(message).statements
        bases.append((statement.basis, statement.collected_at.written if statement.collected_at else None))
        if segment is not None and field is not None:
            message.put(segment, field, "")
    assert bases == [("EVN-2", "20260309"), ("MSH-7", "20260308"), ("", None)]


def test_without_evn_the_date_of_the_message_counts() -> None:
    (statement,) = event(Message(ADT_IO).put("ZFA", 10, '""').drop("EVN")).statements
    assert statement.basis == "MSH-7"


def test_a_date_that_cannot_be_read_gives_way_to_the_next() -> None:
    reading = read_message(Message(ADT_IO).put("ZFA", 10, "2026-03-10").put("EVN", 2, "20261340").put("MSH", 7, "20260308"))
    assert isinstance(reading.content, PatientEvent)
    assert [one.basis for one in reading.content.statements] == ["MSH-7"]
    assert codes(reading) == [("DATE_INVALID", "W", "EVN[1]-2"), ("DATE_INVALID", "W", "ZFA[1]-10")]


def test_who_may_state_and_who_may_lift() -> None:
    for sample, needed in ((ADT_IO, Grant.STATE_OPPOSITION), (ADT_INO, Grant.LIFT_OPPOSITION)):
        assert len(event(Message(sample), grants=frozenset({needed})).statements) == 1
        reading = read_message(Message(sample), grants=GAM - {needed})
        assert codes(reading) == [("ZFA_NOT_ALLOWED", "E", "ZFA[1]-9")]
        assert (reading.answer, isinstance(reading.content, Rejection)) == (Answer.AR, True)


def test_an_opposition_is_not_lost_for_a_consent_that_may_not_be_given() -> None:
    reading = read_message(Message(ADT_IO).put("ZFA", 11, "IC"), grants=frozenset({Grant.STATE_OPPOSITION}))
    assert isinstance(reading.content, PatientEvent)
    assert [one.right for one in reading.content.statements] == [Right.FEEDING]
    assert codes(reading) == [("ZFA_NOT_ALLOWED", "W", "ZFA[1]-11")]


#: PAM p.13–32, in its own words: what each event is for, and whether it has a ZFA (p.70).
PAM = {
    "A01": ("admission", True, StayState.OPEN),
    "A11": ("cancels A01 or A04", False, StayState.CANCELLED),
    "A04": ("outpatient", True, StayState.OPEN),
    "A05": ("pre-admission", True, StayState.OPEN),
    "A38": ("cancels A05", False, StayState.CANCELLED),
    "A14": ("pending admission", True, StayState.OPEN),
    "A27": ("cancels A14", False, StayState.CANCELLED),
    "A03": ("discharge", False, StayState.ENDED),
    "A13": ("cancels A03", False, StayState.OPEN),
    "A02": ("transfer", False, None),
    "A12": ("cancels A02", False, None),
    "A06": ("becomes inpatient", False, None),
    "A07": ("becomes outpatient", False, None),
    "A21": ("leave", False, None),
    "A52": ("cancels A21", False, None),
    "A22": ("back from leave", False, None),
    "A53": ("cancels A22", False, None),
    "A54": ("physician", False, None),
    "A55": ("cancels A54", False, None),
    "A44": ("account moved", False, None),
    "Z99": ("correction", True, None),
    "A28": ("patient created", True, None),
    "A31": ("demographics", True, None),
    "A08": ("excluded in France: as A31", True, None),
}
MERGES = ("A40", "A47")
IGNORED = ("A24", "A37")


def test_the_table_of_events_is_that_of_pam() -> None:
    assert set(TRIGGERS) == {*PAM, *MERGES, *IGNORED}


@pytest.mark.parametrize("pid3", [f"{IPP}~{INS}", INS, IPP])
@pytest.mark.parametrize("code", PAM)
def test_every_event_of_pam_is_applied_with_what_it_says(code: str, pid3: str) -> None:
    _, has_zfa, state = PAM[code]
    excluded = {"EVENT_EXCLUDED"} if code == "A08" else set()
    found = event(trigger(Message(ADT_IO), code).put("PID", 3, pid3))
    assert found.trigger == code
    assert [one.position for one in found.statements] == [Position.OPPOSES]
    assert found.links is ("~" in pid3)
    assert {p.code for p in found.problems} == excluded | (set() if has_zfa else {"ZFA_UNEXPECTED"})
    assert {p.severity.err4 for p in found.problems} <= {"W"}
    assert (found.stay and found.stay.state) == state
    without = event(trigger(Message(ADT_UPDATE), code).put("PID", 3, pid3))
    assert (without.statements, {p.code for p in without.problems}) == ((), excluded)


@pytest.mark.parametrize("code", [code for code, (_, _, state) in PAM.items() if state is not None])
def test_what_an_event_says_of_its_visit(code: str) -> None:
    message = trigger(Message(ADT_IO), code).put("ZFA", 9, "").put("EVN", 2, "20260310083000").put("EVN", 6, "20260301")
    found = event(message)
    assert found.stay is not None
    assert (found.stay.establishment, found.stay.visit.value) == ("chu-valmont", "V100001")
    assert found.stay.stated_at is not None
    assert found.stay.stated_at.written == "20260310083000", "recorded at; EVN-6 of a cancellation is that of what it cancels"
    dated = event(message.put("EVN", 2, "").put("MSH", 7, "20260311"))
    assert dated.stay is not None and dated.stay.stated_at is not None
    assert dated.stay.stated_at.written == "20260311"
    assert event(message.put("PV1", 19, "")).stay is None


def test_a_visit_without_any_date_counts_as_of_its_reception() -> None:
    found = event(trigger(Message(ADT_UPDATE), "A03").put("PV1", 19, "V1").put("EVN", 2, "hier").put("MSH", 7, ""))
    assert found.stay is not None
    assert found.stay.stated_at is None
    assert [(p.code, p.place and p.place.path) for p in found.problems] == [("DATE_INVALID", "EVN[1]-2")]


@pytest.mark.parametrize(
    ("written", "authority"),
    [
        ("V1", None),
        ("V1^^^CHU-VALMONT^VN", None),
        ("V1^^^chu valmont^VN", None),
        ("V1^^^CHU-VALMONT&990000018&M^VN", None),
        ("V1^^^X&1.2.250.1.999.1.1&ISO^VN", None),
        ("V1^^^CH-LOINTAIN&990000075&M^VN", "CH-LOINTAIN"),
    ],
)
def test_every_spelling_of_one_visit_is_one_visit(written: str, authority: str | None) -> None:
    found = event(trigger(Message(ADT_IO), "A01").put("ZFA", 11, "INC").put("PV1", 19, written))
    assert found.stay is not None
    assert (found.stay.visit.value, found.stay.visit.authority) == ("V1", authority)
    assert found.statements[1].visit == found.stay.visit


@pytest.mark.parametrize("code", [*IGNORED, "A09", "A10", "A50", "A60", "Z98"])
@pytest.mark.parametrize("pid", [IPP, FOREIGN, None])
def test_another_event_is_acknowledged_and_ignored_whoever_it_is_of(code: str, pid: str | None) -> None:
    """Unknown events are ignored, never refused (PAM p.26)."""
    message = trigger(Message(ADT_UPDATE), code)
    reading = read_message(message.drop("PID") if pid is None else message.put("PID", 3, pid))
    assert isinstance(reading.content, Rejection)
    assert reading.content.verdict is Verdict.IGNORED
    assert (reading.answer, codes(reading)) == (Answer.AA, [("EVENT_UNKNOWN", "I", "MSH[1]-9")])


@pytest.mark.parametrize("code", [*IGNORED, "A60"])
def test_what_another_event_states_is_not_lost(code: str) -> None:
    found = event(trigger(Message(ADT_IO), code))
    assert [one.position for one in found.statements] == [Position.OPPOSES]
    assert [(p.code, p.severity.err4, p.place and p.place.path) for p in found.problems] == [("ZFA_UNEXPECTED", "W", "ZFA[1]")]


def test_identifiers_that_may_not_be_used_are_left_out_and_the_rest_applied() -> None:
    reading = read_message(Message(ADT_IO).put("PID", 3, f"{IPP}~{WRONG}~{FOREIGN}~{NEIGHBOUR}"))
    assert isinstance(reading.content, PatientEvent)
    assert keys(reading.content) == ["100001"]
    assert keys(reading.content) == [known.value for known in reading.content.identity.identifiers]
    assert not reading.content.links
    assert codes(reading) == [
        ("INS_UNQUALIFIED_DROPPED", "W", "PID[1]-3[2]"),
        ("IDENTIFIER_FOREIGN", "W", "PID[1]-3[3]"),
        ("IDENTIFIER_FOREIGN", "W", "PID[1]-3[4]"),
    ]


def test_identifiers_left_out_do_not_crowd_out_what_is_said_of_the_statement() -> None:
    strangers = "~".join(f"{number}^^^CH-LOINTAIN^PI" for number in range(2000))
    found = event(Message(ADT_IO).put("PID", 3, f"{IPP}~{strangers}").put("ZFA", 9, "OUI"))
    assert [p.code for p in found.problems if p.code != "IDENTIFIER_FOREIGN"][:1] == ["ZFA_VALUE"]


def test_a_namespace_that_looks_like_a_canonical_authority_is_foreign() -> None:
    assert codes(read_message(Message(ADT_IO).put("PID", 3, "1^^^chu-valmont/ipp^PI")))[0][0] == "EVENT_UNUSABLE"


@pytest.mark.parametrize("status", ["PROV", "", "VALI~DOUT", "VALI~USUR"])
def test_outside_vali_the_ins_is_dropped_and_nothing_is_linked(status: str) -> None:
    found = event(Message(ADT_IO).put("PID", 3, f"{IPP}~{INS}").put("PID", 32, status))
    assert (keys(found), found.links) == (["100001"], False)
    assert [p.code for p in found.problems] == ["INS_UNQUALIFIED_DROPPED"]
    assert codes(read_message(Message(ADT_IO).put("PID", 3, INS).put("PID", 32, status))) == [
        ("EVENT_UNUSABLE", "E", "PID[1]-3"),
        ("INS_UNQUALIFIED_DROPPED", "W", "PID[1]-3[1]"),
    ]


def test_a_test_ins_is_dropped_in_production() -> None:
    found = event(Message(ADT_IO).put("PID", 3, f"{IPP}~{INS}"), environment="production")
    assert keys(found) == ["100001"]


def test_who_may_link() -> None:
    assert not event(Message(ADT_UPDATE), grants=GAM - {Grant.LINK_IDENTITY}).links
    assert event(Message(ADT_UPDATE).put("PID", 3, f"{INS}~{NIA}")).links


def test_two_ins_are_never_linked() -> None:
    found = event(Message(ADT_IO).put("PID", 3, f"{IPP}~{INS}~{OTHER}"))
    assert not found.links
    assert [(p.code, p.severity.err4) for p in found.problems] == [("INS_SEVERAL", "W")]
    assert len(found.statements) == 1


def test_no_patient_and_two_patients() -> None:
    assert codes(read_message(Message(ADT_IO).drop("PID"))) == [("SEGMENT_MISSING", "E", "PID[1]")]
    message = Message(ADT_IO)
    message.add(message.lines[2])
    assert codes(read_message(message)) == [("CARDINALITY", "E", "PID[2]")]


def test_two_zfa_are_both_read() -> None:
    found = event(Message(ADT_IO).add("ZFA|ACTIF||||||||INO|20260311"))
    assert [one.position for one in found.statements] == [Position.OPPOSES, Position.ALLOWS]
    assert [(p.code, p.severity.err4) for p in found.problems] == [("CARDINALITY", "W")]


def test_a_rejected_event_shows_whose_it_was() -> None:
    assert rejection(Message(ADT_IO).put("PID", 3, FOREIGN)).patient == "77-204"
