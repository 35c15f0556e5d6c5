"""MDM and ORU that carry documents: routing, act, structure, relations, senders, and the submission."""

import base64
import hashlib
import re

import msgspec
import pytest

from gateway.mappers.common.carrier import restore
from gateway.mappers.hl7v2.read import ROUTES, Reading, route
from gateway.model.problem import Answer
from gateway.model.source import Grant
from gateway.model.submission import Act, Submission
from gateway.model.verdict import Verdict
from tests.strategies.messages import (
    ADT_IO,
    DIRECTORY,
    INS,
    IPP,
    MDM_ADD,
    MDM_DELETE,
    MDM_LEVEL_3,
    MDM_REPLACE,
    ORU_ADD,
    ORU_DELETE,
    ORU_REPLACE,
    ORU_TWO,
    Message,
    codes,
    read_message,
    rejection,
    submission,
)

PLAIN = "oru/12-plain-results"
#: ORC-1, OBX-11 and trigger of each act.
ACTS = {Act.ADD: ("NW", "F", "T02"), Act.REPLACE: ("RO", "C", "T10"), Act.DELETE: ("CA", "D", "T04")}
MDM = {Act.ADD: MDM_ADD, Act.REPLACE: MDM_REPLACE, Act.DELETE: MDM_DELETE}
ORU = {Act.ADD: ORU_ADD, Act.REPLACE: ORU_REPLACE, Act.DELETE: ORU_DELETE}
RPLC = """  <relatedDocument typeCode="RPLC">
    <parentDocument>
      <id root="1.2.250.1.999.1.2.{parent}"/>
      <setId root="1.2.250.1.999.1.3.{parent}"/>
      <versionNumber value="1"/>
    </parentDocument>
  </relatedDocument>
"""


def document_of(message: Message) -> str:
    return base64.b64decode(message.get("OBX", 5).split("^")[4]).decode()


def rplc(parent: str) -> str:
    return RPLC.format(parent=parent)


# -- routing


@pytest.mark.parametrize("known", ROUTES, ids=lambda known: f"{known.type_code}^{known.trigger or '*'}")
def test_every_route_is_found_by_its_own_type(known: object) -> None:
    found = [one for one in ROUTES if route(one.type_code, one.trigger or "A01") is known]
    assert found == [known]


@pytest.mark.parametrize(
    ("msh9", "code"),
    [
        ("SIU^S12^SIU_S12", "MESSAGE_TYPE_UNSUPPORTED"),
        ("ORU^R30^ORU_R30", "MESSAGE_TYPE_UNSUPPORTED"),
        ("ACK^T02^ACK", "MESSAGE_TYPE_UNSUPPORTED"),
        ("ZAM^Z01^ZAM_Z01", "MESSAGE_TYPE_UNSUPPORTED"),
        ("MDM^T01^MDM_T01", "EVENT_UNSUPPORTED"),
        ("MDM^T11^MDM_T01", "EVENT_UNSUPPORTED"),
        ("ADT", "EVENT_UNSUPPORTED"),
    ],
)
def test_what_is_not_routed(msh9: str, code: str) -> None:
    reading = read_message(Message(MDM_ADD).put("MSH", 9, msh9))
    assert codes(reading) == [(code, "E", "MSH[1]-9")]
    assert reading.answer is Answer.AE


@pytest.mark.parametrize("sample", [MDM_ADD, ADT_IO])
@pytest.mark.parametrize("written", ["T", "D", "D^A"])
def test_test_messages_in_production(sample: str, written: str) -> None:
    message = Message(sample).put("MSH", 11, written)
    assert codes(read_message(message, environment="production")) == [("PROCESSING_ID", "E", "MSH[1]-11")]
    assert read_message(message).answer is Answer.AA


@pytest.mark.parametrize("sample", [MDM_ADD, MDM_DELETE, ORU_ADD, PLAIN])
def test_who_may_deposit(sample: str) -> None:
    reading = read_message(Message(sample), grants=frozenset(Grant) - {Grant.DEPOSIT})
    assert codes(reading) == [("SOURCE_NOT_ALLOWED", "E", "MSH[1]-3")]


# -- act


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("samples", [MDM, ORU], ids=["MDM", "ORU"])
def test_each_act(act: Act, samples: dict[Act, str]) -> None:
    assert submission(Message(samples[act])).act is act


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("other", ACTS)
def test_the_voice_that_stands_alone_is_named(act: Act, other: Act) -> None:
    if act is other:
        return
    order, status, trigger = ACTS[other]
    for segment, field, written, place in (
        ("ORC", 1, order, "ORC[1]-1"),
        ("OBX", 11, status, "OBX[1]-11"),
        ("MSH", 9, f"MDM^{trigger}^MDM_T02", "MSH[1]-9[1].2"),
    ):
        reading = read_message(Message(MDM[act]).put(segment, field, written))
        assert ("ACT_INCOHERENT", "E", place) in codes(reading)
        assert len([one for one in codes(reading) if one[0] == "ACT_INCOHERENT"]) == 1
        assert reading.answer is Answer.AE
    # Of two voices, the later one.
    assert ("ACT_INCOHERENT", "E", "OBX[1]-11") in codes(read_message(Message(ORU[act]).put("ORC", 1, order)))


@pytest.mark.parametrize(("segment", "field"), [("ORC", 1), ("OBX", 11)])
def test_a_voice_that_says_nothing_or_something_else(segment: str, field: int) -> None:
    assert ("FIELD_REQUIRED", "E", f"{segment}[1]-{field}") in codes(read_message(Message(ORU_ADD).put(segment, field, "")))
    assert ("VALUE_UNKNOWN", "E", f"{segment}[1]-{field}") in codes(read_message(Message(ORU_ADD).put(segment, field, "SC")))


@pytest.mark.parametrize(("sample", "segment"), [(MDM_ADD, "ORC"), (ORU_ADD, "ORC"), (MDM_ADD, "TXA"), (MDM_ADD, "PID")])
def test_a_segment_that_is_missing(sample: str, segment: str) -> None:
    assert ("SEGMENT_MISSING", "E", f"{segment}[1]") in codes(read_message(Message(sample).drop(segment)))


def test_a_message_without_document() -> None:
    for sample in (MDM_ADD, ORU_ADD):
        message = Message(sample).drop("OBX").drop("PRT")
        assert codes(read_message(message)) == [("SEGMENT_MISSING", "E", "OBX[11]")]


def test_how_many_documents() -> None:
    assert len(submission(Message(ORU_TWO)).documents) == 2
    message = Message(ORU_TWO)
    document = message.lines[next(n for n, line in enumerate(message.lines) if line.startswith("OBX|1|ED"))]
    assert "CARDINALITY" in [one[0] for one in codes(read_message(message.add(document)))]
    message = Message(MDM_ADD)
    assert codes(read_message(message.add(message.lines[7])))[-1] == ("CARDINALITY", "E", "OBX[12]")


def test_a_document_twice_in_one_message() -> None:
    message = Message(ORU_ADD)
    at = next(n for n, line in enumerate(message.lines) if line.startswith("OBX|1|"))
    message.lines[at + 2 : at + 2] = message.lines[at : at + 2]
    assert codes(read_message(message)) == [("CARDINALITY", "E", "OBX[2]-5")]


# -- plain results


def test_results_without_document_are_told_apart_after_the_identity() -> None:
    assert codes(read_message(Message(PLAIN))) == [("PLAIN_RESULTS", "E", "OBX[1]-2")]
    reading = read_message(Message(PLAIN).put("PID", 3, IPP))
    assert [p.code for p in rejection(Message(PLAIN).put("PID", 3, IPP)).problems] == ["INS_ABSENT", "PLAIN_RESULTS"]
    assert reading.answer is Answer.AE
    reading = read_message(Message(PLAIN).drop("PID"))
    assert [one[0] for one in codes(reading)] == ["PLAIN_RESULTS", "SEGMENT_MISSING"]
    # A file that is no CDA is a result too.
    message = Message(PLAIN).add("OBX|4|ED|11502-2^CR^LN||^application^PDF^Base64^JVBERi0=||||||F")
    assert "PLAIN_RESULTS" in [one[0] for one in codes(read_message(message))]


def test_results_beside_a_document_are_a_warning() -> None:
    message = Message(ORU_ADD).add("OBX|12|NM|2951-2^Sodium^LN||139|mmol/L|||||F")
    assert codes(read_message(message)) == [("PLAIN_RESULTS", "W", "OBX[12]-2")]


# -- the document


def test_the_bytes_travel_apart_and_come_back() -> None:
    message = Message(ORU_TWO)
    reading = read_message(message)
    assert isinstance(reading.content, Submission)
    assert len(reading.parts) == 3
    assert restore(reading.parts, reading.content.carriers) == message.payload
    for document in reading.content.documents:
        content = reading.parts[document.part]
        assert hashlib.sha256(content).hexdigest() == document.entry.digest
        assert len(content) == document.entry.size
    assert sum(map(len, reading.parts)) < len(message.payload)


def test_base64_in_lines_is_kept_as_it_was_written() -> None:
    message = Message(ORU_ADD)
    whole = message.get("OBX", 5)
    reading = read_message(message.put("OBX", 5, whole[:60] + "\\.br\\" + whole[60:100] + "\\X0D0A\\" + whole[100:]))
    assert isinstance(reading.content, Submission)
    assert reading.content.carriers == ()
    assert reading.parts[0] == message.payload
    assert reading.parts[1] == read_message(Message(ORU_ADD)).parts[1]


def test_the_first_bad_byte_is_pointed_at() -> None:
    message = Message(ORU_ADD)
    whole = message.get("OBX", 5)
    message.put("OBX", 5, whole[:60] + "*" + whole[61:])
    (problem,) = read_message(message).problems
    assert (problem.code, problem.document) == ("BASE64_INVALID", 0)
    assert problem.place is not None
    assert problem.place.path == "OBX[1]-5[1].5"
    assert message.payload[problem.place.start : problem.place.end] == b"*"


@pytest.mark.parametrize("written", ["^TEXT^XML^Base64^", "^TEXT^XML^Base64", "", "^TEXT^XML^Base64^\\.br\\"])
def test_an_empty_document(written: str) -> None:
    assert codes(read_message(Message(ORU_ADD).put("OBX", 5, written))) == [("DOCUMENT_EMPTY", "E", "OBX[1]-5[1].5")]


def test_another_encoding() -> None:
    message = Message(ORU_ADD).put("OBX", 5, "^TEXT^XML^Hex^3C613E")
    assert codes(read_message(message)) == [("VALUE_UNKNOWN", "E", "OBX[1]-5[1].4")]


def test_what_is_wrong_in_the_document_points_into_it() -> None:
    message = Message(ORU_ADD).put("OBX", 5, "^TEXT^XML^Base64^PGE+PGI+PC9hPg==")
    (problem,) = read_message(message).problems
    assert (problem.code, problem.document) == ("XML_INVALID", 0)
    assert problem.place is not None
    assert problem.place.outermost.path == "OBX[1]-5[1].5"


def test_every_fault_of_a_message_is_told_at_once() -> None:
    message = Message(MDM_ADD).put("ORC", 1, "CA").put("PID", 32, "PROV").flag("DESTMSSANTEPS", "?").put("TXA", 12, "1.2.3")
    found = codes(read_message(message))
    assert found == [
        ("INS_UNQUALIFIED", "E", "PID[1]-32"),
        ("ACT_INCOHERENT", "E", "ORC[1]-1"),
        ("DOCUMENT_ID_DIFFERS", "E", "TXA[1]-12"),
        ("FLAG_INVALID", "E", "OBX[8]-5"),
    ]
    refused = rejection(message)
    assert [p.code for p in refused.problems] == ["ACT_INCOHERENT", "FLAG_INVALID", "DOCUMENT_ID_DIFFERS", "INS_UNQUALIFIED"]
    assert (refused.verdict, refused.patient) == (Verdict.REJECTED, "284103523811464")
    assert refused.document_ids == ("1.2.250.1.999.1.2.101",)


# -- ids and relations


def test_the_number_of_the_document() -> None:
    assert codes(read_message(Message(MDM_ADD).put("TXA", 12, "1.2.3"))) == [("DOCUMENT_ID_DIFFERS", "E", "TXA[1]-12")]
    assert codes(read_message(Message(MDM_ADD).put("TXA", 12, ""))) == [("FIELD_REQUIRED", "E", "TXA[1]-12")]
    number = Message(MDM_ADD).get("TXA", 12)
    assert submission(Message(MDM_ADD).put("TXA", 12, f"{number}^Organisation"))
    message = Message(MDM_ADD).cda(f'<id root="{number}"/>', f'<id root="{number}" extension="A7"/>')
    assert submission(message.put("TXA", 12, f"A7^^{number}^ISO")).documents[0].entry.unique_id == f"{number}^A7"
    assert codes(read_message(message.put("TXA", 12, number)))[0][0] == "DOCUMENT_ID_DIFFERS"


def test_a_replacement_by_mdm() -> None:
    parent = Message(MDM_REPLACE).get("TXA", 13)
    assert submission(Message(MDM_REPLACE)).documents[0].entry.replaces == (parent,)
    assert submission(Message(MDM_REPLACE).put("TXA", 13, f"{parent}^Organisation")).documents[0].entry.replaces == (parent,)
    assert codes(read_message(Message(MDM_REPLACE).put("TXA", 13, "1.2.3"))) == [("RELATION_DIFFERS", "E", "TXA[1]-13")]
    assert codes(read_message(Message(MDM_REPLACE).put("TXA", 13, ""))) == [("FIELD_REQUIRED", "E", "TXA[1]-13")]
    silent = Message(MDM_REPLACE).cda(rplc("101"), "")
    assert [(p.code, p.severity.err4) for p in submission(silent).problems] == [("CDA_UNUSUAL", "W")]
    assert submission(silent).documents[0].entry.replaces == (parent,)
    assert codes(read_message(silent.put("TXA", 13, ""))) == [("RELATION_DIFFERS", "E", "TXA[1]-13")]


def test_a_replacement_by_oru() -> None:
    assert submission(Message(ORU_REPLACE)).documents[0].entry.replaces == ("1.2.250.1.999.1.2.201",)
    by_set = Message(ORU_REPLACE).cda(rplc("201"), "")
    assert submission(by_set).documents[0].entry.replaces == ()
    assert [(p.code, p.severity.err4) for p in submission(by_set).problems] == [("CDA_UNUSUAL", "W")]
    first = by_set.cda('<versionNumber value="2"/>', '<versionNumber value="1"/>')
    assert [p.code for p in rejection(first).problems] == ["RELATION_DIFFERS"]


def test_a_new_document_replaces_nothing() -> None:
    message = Message(MDM_REPLACE).put("ORC", 1, "NW").put("OBX", 11, "F").put("MSH", 9, "MDM^T02^MDM_T02")
    assert [(p.code, p.document) for p in read_message(message).problems] == [("RELATION_DIFFERS", 0)]


@pytest.mark.parametrize("sample", [MDM_DELETE, ORU_DELETE])
def test_a_deletion_says_nothing_of_replacing(sample: str) -> None:
    """Its CDA is the last version as it was, with its own relatedDocument: the message decides."""
    assert submission(Message(sample)).documents[0].entry.replaces == ()
    if sample == MDM_DELETE:
        assert submission(Message(sample).put("TXA", 13, "1.2.3")).problems == ()


def test_types() -> None:
    assert codes(read_message(Message(ORU_ADD).put("OBX", 3, "18748-4^x^LN"))) == [("TYPE_DIFFERS", "W", "OBX[1]-3")]
    assert codes(read_message(Message(MDM_ADD).put("TXA", 2, "11502-2"))) == [("TYPE_DIFFERS", "W", "TXA[1]-2")]
    message = Message(ORU_ADD).cda('<code code="11502-2"', '<code code="28617-9"')
    assert codes(read_message(message)) == [("TYPE_NOT_DMP", "E", "OBX[1]-3"), ("TYPE_DIFFERS", "W", "OBX[1]-3")]
    assert submission(Message(ORU_ADD)).documents[0].entry.class_code is not None


# -- sender and establishments


def test_the_sender() -> None:
    sender = submission(Message(MDM_ADD)).sender
    assert sender is not None
    assert sender.person is not None
    assert sender.person.id is not None
    assert (sender.person.id.value, sender.person.id.authority, sender.person.id.type) == (
        "899900000029",
        "1.2.250.1.71.4.2.1",
        "IDNPS",
    )
    assert (sender.person.family, sender.person.given) == ("MODELE-RADIO", "Simon")
    assert sender.organisation is not None
    assert sender.organisation.id is not None
    assert (sender.organisation.name, sender.organisation.id.value) == ("CHU de Valmont", "990000026")


def test_a_sender_is_asked_for_where_the_document_is() -> None:
    assert codes(read_message(Message(MDM_ADD).drop("PRT"))) == [("SENDER_MISSING", "E", "OBX[1]")]
    assert codes(read_message(Message(MDM_ADD).put("PRT", 8, ""))) == [("SENDER_MISSING", "E", "PRT[1]-8")]
    # Behind a flag it is nobody's.
    message = Message(MDM_ADD)
    prt = message.get("PRT", 8)
    message.drop("PRT").add(f"PRT||UC||SB||||{prt}")
    assert codes(read_message(message)) == [("SENDER_MISSING", "E", "OBX[1]")]
    # Recipients of secure mail are not senders.
    message = Message(MDM_ADD).put("PRT", 4, "RCT^^participation")
    assert codes(read_message(message)) == [("SENDER_MISSING", "E", "OBX[1]")]


@pytest.mark.parametrize("sample", [MDM_DELETE, ORU_DELETE])
def test_a_deletion_is_warned_of_a_missing_sender_and_passes(sample: str) -> None:
    for message in (Message(sample).drop("PRT"), Message(sample).put("PRT", 8, "")):
        found = submission(message)
        assert [(p.code, p.severity.err4) for p in found.problems] == [("SENDER_MISSING", "W")]
        assert found.establishments == ("chu-valmont",)


def test_the_sender_may_stand_behind_a_note_and_other_participants() -> None:
    message = Message(MDM_ADD).add("NTE|1||x", before="PRT").add("PRT||UC||RCT^^participation", before="PRT")
    assert submission(message).sender is not None
    organisation = "CHU^^990000034^^^ASIP-SANTE-ST&1.2.250.1.71.4.2.2&ISO^FINEG"
    sender = submission(Message(MDM_ADD).put("PRT", 8, organisation)).sender
    assert sender is not None
    assert sender.organisation is not None
    assert sender.organisation.id is not None
    assert sender.organisation.id.value == "990000034"


def test_a_sender_without_person() -> None:
    sender = submission(Message(MDM_ADD).put("PRT", 5, "")).sender
    assert sender is not None
    assert sender.person is None


def test_a_date_of_the_message_that_cannot_be_read_changes_nothing() -> None:
    for written in ("", "2026-03-10", "2026" + "0" * 40):
        assert submission(Message(MDM_ADD).put("MSH", 7, written)).act is Act.ADD


def test_every_establishment_that_is_named() -> None:
    assert submission(Message(MDM_ADD)).establishments == ("chu-valmont",)
    named = Message(MDM_ADD).put("PRT", 8, "Clinique^^^^^&1.2.250.1.71.4.2.2&ISO^FINEG^^^1990000059  ")
    assert submission(named).establishments == ("chu-valmont", "clinique-aubier")
    stranger = Message(MDM_ADD).put("PRT", 8, "Ailleurs^^^^^&1.2.250.1.71.4.2.2&ISO^FINEG^^^300017985")
    assert submission(stranger).establishments == ("chu-valmont", "finess:300017985")
    no_finess = Message(MDM_ADD).put("PRT", 8, "X^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^3/12/45")
    assert submission(no_finess).establishments == ("chu-valmont",)


CLINIC = "Clinique^^^^^&1.2.250.1.71.4.2.2&ISO^FINEG^^^1990000059"


@pytest.mark.parametrize(
    "prt8",
    [
        f"{CLINIC}~CHU^^^^^&1.2.250.1.71.4.2.2&ISO^FINEG^^^990000026",
        f"CHU^^^^^&1.2.250.1.71.4.2.2&ISO^FINEG^^^990000026~{CLINIC}",
        f"~{CLINIC}",
        "CHU^^990000042^^^&1.2.250.1.71.4.2.2&ISO^FINEG^^^1990000026",
        CLINIC.replace("1990000059", "1 990 000 059"),
        CLINIC.replace("1990000059", "1990000059\u00a0"),
    ],
)
def test_every_repetition_and_number_of_a_sender_names_an_establishment(prt8: str) -> None:
    message = Message(MDM_ADD).put("PRT", 8, prt8)
    assert submission(message).establishments == ("chu-valmont", "clinique-aubier")
    assert codes(read_message(message)) == [("SENDER_DIFFERS", "W", "PRT[1]-8")]
    assert read_message(message).answer is Answer.AA


def test_a_sender_in_any_repetition_of_its_role() -> None:
    message = Message(MDM_ADD).put("PRT", 4, "RCT^^participation~SB^^participation").put("PRT", 8, CLINIC)
    assert submission(message).establishments == ("chu-valmont", "clinique-aubier")


@pytest.mark.parametrize("number", ["3/12/45", "312345678901234", "990000042/1234"])
def test_a_sender_number_that_is_no_finess_is_a_warning(number: str) -> None:
    message = Message(MDM_ADD).put("PRT", 8, CLINIC.replace("1990000059", number))
    assert submission(message).establishments == ("chu-valmont",)
    assert codes(read_message(message)) == [("FIELD_INVALID", "W", "PRT[1]-8")]


def test_a_sender_of_no_configured_establishment_is_no_warning() -> None:
    message = Message(MDM_ADD).put("PRT", 8, CLINIC.replace("1990000059", "300017985"))
    assert submission(message).problems == ()


@pytest.mark.parametrize(
    "written",
    [
        '{own}<id root="1.2.250.1.71.4.2.2" extension="1990000042"/>',
        '{own}<id root="1.2.3" extension="990000042"/>',
        '<id root="1.2.250.1.71.4.2.2" extension="1 990000042"/>',
        (
            "{own}</representedCustodianOrganization><representedCustodianOrganization>"
            '<id root="1.2.250.1.71.4.2.2" extension="1990000042"/>'
        ),
        (
            "{own}</representedCustodianOrganization></assignedCustodian><assignedCustodian><representedCustodianOrganization>"
            '<id root="1.2.250.1.71.4.2.2" extension="1990000042"/>'
        ),
    ],
)
def test_every_number_of_the_custodian_names_an_establishment(written: str) -> None:
    own = re.search(r"<representedCustodianOrganization>\s*(<id [^>]*/>)", document_of(Message(MDM_ADD)))
    assert own is not None
    message = Message(MDM_ADD).cda(own[0], own[0].replace(own[1], written.format(own=own[1])))
    assert submission(message).establishments == ("chu-valmont", "clinique-aubier")


def test_the_custodian_is_named_too() -> None:
    document = submission(Message(MDM_ADD)).documents[0]
    assert document.entry.custodian.id is not None
    custodian = document.entry.custodian.id.value
    message = Message(MDM_ADD)
    message.cda(f'extension="{custodian}"', 'extension="1990000042"')
    assert submission(message).establishments == ("chu-valmont", "clinique-aubier")
    reduced = msgspec.structs.replace(DIRECTORY, establishments=DIRECTORY.establishments[:1])
    assert submission(message, directory=reduced).establishments == ("chu-valmont", "finess:990000042")


def test_a_structured_document_by_mdm() -> None:
    found = submission(Message(MDM_LEVEL_3))
    assert found.documents[0].entry.level == 3
    assert found.content_type is not None


def test_places_of_a_submission_point_at_what_they_name() -> None:
    message = Message(MDM_ADD).put("PID", 3, f"{IPP}~{INS}")
    places = submission(message).places
    spans = {name: message.payload[place.start : place.end] for name, place in places.items()}
    assert spans["act"] == b"NW"
    assert spans["flags.destdmp"].startswith(b"Y^")
    assert spans["sender"].startswith(b"PRT|")
    assert spans["content_type"] == b"I"
    assert spans["documents[0]"].startswith(b"PD94")


def test_a_source_deposits_only_the_types_that_its_configuration_names() -> None:
    def read_by(types: tuple[str, ...], message: Message) -> Reading:
        sources = tuple(msgspec.structs.replace(source, document_types=types) for source in DIRECTORY.sources)
        return read_message(message, directory=msgspec.structs.replace(DIRECTORY, sources=sources))

    assert isinstance(read_by(("11502-2",), Message(ORU_ADD)).content, Submission)
    assert codes(read_by(("18748-4",), Message(ORU_ADD))) == [("SOURCE_NOT_ALLOWED", "E", "OBX[1]-3")]
    assert isinstance(read_by(("18748-4",), Message(ORU_DELETE)).content, Submission)
