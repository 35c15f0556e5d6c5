"""Messages of the volet 1.2 and 2.0: read as version 2.1 reads the same document, with one warning that names the forms."""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from gateway.mappers.hl7v2.older import same_number
from gateway.model.problem import Answer, Problem
from gateway.model.submission import Submission
from tests.strategies.messages import MDM_ADD, MDM_DELETE, MDM_REPLACE, ORU_ADD, ORU_DELETE, ORU_REPLACE, Message, read_message

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "hl7v2"
LONG = {
    "INVISIBLE_REP_LEGAUX^": "INVISIBLE_REPRESENTANTS_LEGAUX^",
    "MODIF_CONF_CODE^": "MODIF_CONFIDENTIALITYCODE^",
}


def as_1_2(sample: str) -> Message:
    """Flags without code system, long names, bare Y and N, no ACK_*, COMP_LOT; ORC-1 = SC."""
    message = Message(sample).put("MSH", 21, "1.2^CISIS_CDA_HL7_V1").put("ORC", 1, "SC")
    lines = []
    for line in message.lines:
        if "^MetaDMPMSS" not in line:
            lines.append(line)
        elif "|ACK_" not in line:
            older = line.replace("^MetaDMPMSS", "").replace("^^expandedYes-NoIndicator", "")
            for short, written in LONG.items():
                older = older.replace(short, written)
            lines.append(older)
    message.lines = [*lines, "OBX|40|CE|COMP_LOT^Composition du lot||1||||||F"]
    return message


def as_2_0(sample: str) -> Message:
    """Flags of table HL70136, roles of HL70912; an ORU with ORC-1 = SC, an MDM without ORC and OBR, its numbers in one."""
    message = Message(sample).put("MSH", 21, "2.0^CISIS_CDA_HL7_V2")
    lines = [
        line.replace("^^expandedYes-NoIndicator", "^^HL70136").replace("SB^Send by^participation", "SB^^HL70912")
        for line in message.lines
    ]
    if lines[0].split("|")[8].startswith("MDM"):
        lines = [line for line in lines if not line.startswith(("ORC|", "OBR|"))]
    message.lines = lines
    if message.lines[0].split("|")[8].startswith("ORU"):
        message.put("ORC", 1, "SC")
    return message


def reading(message: Message) -> tuple[Submission, tuple[Problem, ...], bytes]:
    payload = "\r".join([*message.lines, ""]).encode()
    found = read_message(payload)
    assert isinstance(found.content, Submission), found.problems
    assert found.answer is Answer.AA
    return found.content, found.problems, payload


def bare(submission: Submission) -> Submission:
    """Without what the transport's spelling changes: places, problems, spans."""
    replace = msgspec.structs.replace
    documents = tuple(
        replace(
            document,
            entry=replace(document.entry, places={}),
            patients=tuple(
                replace(known, places={}, identifiers=tuple(replace(one, place=None) for one in known.identifiers))
                for known in document.patients
            ),
        )
        for document in submission.documents
    )
    patient = replace(
        submission.patient,
        places={},
        identifiers=tuple(replace(one, place=None) for one in submission.patient.identifiers),
    )
    return replace(submission, documents=documents, patient=patient, places={}, problems=(), carriers=())


@pytest.mark.parametrize(
    ("case", "make", "sample", "named"),
    [
        ("oru_volet_1_2", as_1_2, ORU_ADD, ("version 1.2", "flags without code system", "ORC-1 = SC", "COMP_LOT")),
        ("oru_volet_1_2_replacement", as_1_2, ORU_REPLACE, ("INVISIBLE_REPRESENTANTS_LEGAUX for INVISIBLE_REP_LEGAUX",)),
        ("oru_volet_1_2_deletion", as_1_2, ORU_DELETE, ("MODIF_CONFIDENTIALITYCODE for MODIF_CONF_CODE",)),
        ("oru_volet_2_0", as_2_0, ORU_ADD, ("version 2.0", "Y and N of HL70136", "PRT-4 of HL70912", "ORC-1 = SC")),
        ("oru_volet_2_0_replacement", as_2_0, ORU_REPLACE, ("ORC-1 = SC",)),
        ("oru_volet_2_0_deletion", as_2_0, ORU_DELETE, ("ORC-1 = SC",)),
        ("mdm_volet_2_0", as_2_0, MDM_ADD, ("version 2.0", "no ORC")),
        ("mdm_volet_2_0_replacement", as_2_0, MDM_REPLACE, ("no ORC",)),
        ("mdm_volet_2_0_deletion", as_2_0, MDM_DELETE, ("no ORC",)),
    ],
)
def test_an_older_form_gives_the_same_submission_and_one_warning(
    case: str, make: Callable[[str], Message], sample: str, named: tuple[str, ...]
) -> None:
    now, problems, _ = reading(Message(sample))
    found, told, payload = reading(make(sample))
    assert bare(found) == bare(now)
    (warning,) = (problem for problem in told if problem.code == "OLDER_FORM")
    assert (warning.severity.err4, warning.place.path if warning.place else "") == ("W", "MSH[1]-21")
    assert all(name in warning.detail for name in named)
    assert [problem.code for problem in told if problem.code != "OLDER_FORM"] == [problem.code for problem in problems]
    golden = GOLDEN / case / "in.er7"
    if os.environ.get("UPDATE_GOLDEN") == "1" and "CI" not in os.environ:
        golden.parent.mkdir(exist_ok=True)
        golden.write_bytes(payload)
    assert golden.read_bytes() == payload


@pytest.mark.parametrize(
    "profile",
    [
        "2.1^CISIS_CDA_HL7_V2",
        "",
        "1.1^CISIS_CDA_HL7_LPS",
        "1.2^CISIS_CDA_HL7_V1~2.1^CISIS_CDA_HL7_V2",  # held to the version that asks more
    ],
)
def test_what_says_less_is_taken_under_the_older_version_only(profile: str) -> None:
    for make, sample, code in ((as_1_2, ORU_ADD, "VALUE_UNKNOWN"), (as_2_0, MDM_ADD, "SEGMENT_MISSING")):
        found = read_message("\r".join([*make(sample).put("MSH", 21, profile).lines, ""]).encode())
        assert found.answer is Answer.AE
        assert code in [problem.code for problem in found.problems]


def test_spellings_are_understood_under_any_version() -> None:
    message = as_1_2(ORU_ADD).put("MSH", 21, "2.1^CISIS_CDA_HL7_V2").put("ORC", 1, "NW")
    found, told, _ = reading(message)
    assert bare(found) == bare(reading(Message(ORU_ADD))[0])
    (warning,) = (problem for problem in told if problem.code == "OLDER_FORM")
    assert warning.place is not None
    assert warning.place.path.startswith("OBX[")


@pytest.mark.parametrize(("sample", "status", "field"), [(ORU_ADD, "C", "OBX"), (ORU_REPLACE, "D", "OBX")])
def test_with_sc_the_status_of_the_document_is_the_act(sample: str, status: str, field: str) -> None:
    message = as_2_0(sample).put(field, 11, status)
    found = read_message("\r".join([*message.lines, ""]).encode())
    acts = {"C": "replace", "D": "delete"}
    content = found.content
    assert (content.act.value if isinstance(content, Submission) else content.act) == acts[status]


def test_two_voices_of_an_older_mdm_have_to_agree() -> None:
    message = as_2_0(MDM_ADD).put("OBX", 11, "D")
    found = read_message("\r".join([*message.lines, ""]).encode())
    assert found.answer is Answer.AE
    assert "ACT_INCOHERENT" in [problem.code for problem in found.problems]


def test_a_document_number_of_root_and_extension_in_one_is_the_id() -> None:
    """Version 2.0 writes TXA-12 with a dot between them, and TXA-13 at times without."""
    assert same_number("1.2.250.1.999.A71", "1.2.250.1.999^A71")
    assert same_number("1.2.250.1.999A71", "1.2.250.1.999^A71")
    assert not same_number("1.2.250.1.999.A72", "1.2.250.1.999^A71")
    assert not same_number("1.2.250.1.999.1", "1.2.250.1.999.1")


@pytest.mark.parametrize(("profile", "answer"), [("2.0^CISIS_CDA_HL7_V2", Answer.AA), ("2.1^CISIS_CDA_HL7_V2", Answer.AE)])
def test_a_document_number_in_one_is_taken_under_the_older_version(profile: str, answer: Answer) -> None:
    message = Message(MDM_ADD)
    root = message.get("TXA", 12)
    message.cda(f'<id root="{root}"/>', f'<id root="{root}" extension="A71"/>')
    message.put("TXA", 12, f"{root}.A71").put("MSH", 21, profile)
    found = read_message(message)
    assert found.answer is answer
    assert ("DOCUMENT_ID_DIFFERS" in [problem.code for problem in found.problems]) == (answer is Answer.AE)


def test_a_number_in_one_names_no_document_to_replace() -> None:
    """The one that it means would stay current beside the new one: without relatedDocument nobody knows which it is."""
    message = as_2_0(MDM_REPLACE)
    root = message.get("TXA", 12)
    message.cda(f'<id root="{root}"/>', f'<id root="{root}" extension="A72"/>')
    message.put("TXA", 12, f"{root}.A72").put("TXA", 13, f"{root}.A71")
    message.cda("<relatedDocument", "<!-- <relatedDocument").cda("</relatedDocument>", "</relatedDocument> -->")
    found = read_message("\r".join([*message.lines, ""]).encode())
    assert found.answer is Answer.AE
    assert [problem.code for problem in found.problems if problem.severity.err4 == "E"] == ["RELATION_DIFFERS"]


@pytest.mark.parametrize("make", [as_1_2, as_2_0])
@pytest.mark.parametrize("code", ["MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REP_LEGAUX", "CONNEXION_SECRETE"])
def test_what_hides_a_document_hides_it_in_every_version(make: Callable[[str], Message], code: str) -> None:
    message = make(ORU_ADD)
    written = LONG.get(f"{code}^", f"{code}^").rstrip("^") if make is as_1_2 else code
    changed = 0
    for number, line in enumerate(message.lines):
        fields = line.split("|")
        if fields[0] == "OBX" and fields[3].split("^")[0] == written:
            fields[5] = "Y" + fields[5][1:]
            message.lines[number] = "|".join(fields)
            changed += 1
    assert changed == 1
    found, _, _ = reading(message)
    assert getattr(found.flags, code.lower()) is True
    now, _, _ = reading(Message(ORU_ADD).flag(code, "Y^^expandedYes-NoIndicator"))
    assert found.documents[0].entry.confidentiality_codes == now.documents[0].entry.confidentiality_codes
