"""The MetaDMPMSS flags."""

import pytest

from gateway.mappers.hl7v2 import flags
from gateway.model.outcome import Rejection
from gateway.model.problem import Answer
from gateway.model.verdict import Verdict
from tests.strategies.messages import (
    MDM_DELETE,
    MDM_REPLACE,
    ORU_ADD,
    ORU_DELETE,
    ORU_REPLACE,
    Message,
    codes,
    read_message,
    rejection,
    submission,
)


@pytest.mark.parametrize("code", flags.REQUIRED)
def test_each_of_the_eight_is_required(code: str) -> None:
    reading = read_message(Message(ORU_ADD).flag(code, None))
    assert ("FLAG_MISSING", "E", "OBX[11]") in codes(reading)
    (missing,) = [p for p in reading.problems if p.code == "FLAG_MISSING"]
    assert missing.detail == code
    assert reading.answer is Answer.AE


@pytest.mark.parametrize("sample", [MDM_DELETE, ORU_DELETE])
@pytest.mark.parametrize("code", flags.REQUIRED)
def test_a_deletion_is_warned_of_a_missing_flag_and_passes(sample: str, code: str) -> None:
    found = submission(Message(sample).flag(code, None))
    assert [(p.code, p.severity.err4, p.detail) for p in found.problems] == [("FLAG_MISSING", "W", code)]
    assert found.flags.destdmp


def test_a_deletion_is_warned_of_an_unreadable_flag_unless_it_says_whether_the_record_is_concerned() -> None:
    found = submission(Message(ORU_DELETE).flag("MASQUE_PS", "?"))
    assert [(p.code, p.severity.err4) for p in found.problems] == [("FLAG_INVALID", "W")]
    assert [one[:2] for one in codes(read_message(Message(ORU_DELETE).flag("DESTDMP", "?")))] == [("FLAG_INVALID", "E")]
    reading = read_message(Message(ORU_DELETE).flag("DESTDMP", "N"))
    assert isinstance(reading.content, Rejection)
    assert reading.content.verdict is Verdict.IGNORED


def test_an_empty_flag_is_missing_where_it_stands() -> None:
    assert codes(read_message(Message(ORU_ADD).flag("INVISIBLE_PATIENT", ""))) == [("FLAG_MISSING", "E", "OBX[3]-5")]
    assert codes(read_message(Message(ORU_ADD).flag("ACK_RECEPTION", "^^expandedYes-NoIndicator"))) == []


@pytest.mark.parametrize("code", flags.DEFAULTED)
def test_an_absent_acknowledgement_flag_is_no(code: str) -> None:
    assert getattr(submission(Message(ORU_ADD).flag(code, None)).flags, code.lower()) is False
    assert getattr(submission(Message(ORU_ADD).flag(code, "Y^^HL70136")).flags, code.lower()) is True


@pytest.mark.parametrize("code", [*flags.REQUIRED, *flags.DEFAULTED])
@pytest.mark.parametrize("written", ["YES", "y", "1", "O^^expandedYes-NoIndicator"])
def test_neither_y_nor_n_is_refused(code: str, written: str) -> None:
    reading = read_message(Message(ORU_ADD).flag(code, written))
    assert [one[:2] for one in codes(reading)] == [("FLAG_INVALID", "E")]


def test_a_flag_twice_counts_once_and_contradicts_itself_once() -> None:
    again = "OBX|12|CE|DESTDMP^x^MetaDMPMSS||{}||||||F"
    assert submission(Message(ORU_ADD).add(again.format("Y"))).flags.destdmp
    reading = read_message(Message(ORU_ADD).add(again.format("N")))
    assert codes(reading) == [("FLAG_INVALID", "E", "OBX[12]-5")]


def test_any_order_and_the_older_forms() -> None:
    message = Message(ORU_ADD)
    first = next(n for n, line in enumerate(message.lines) if "MASQUE_PS" in line)
    message.lines[first:] = [line.replace("^MetaDMPMSS", "") for line in reversed(message.lines[first:])]
    message.lines = [
        line.replace("INVISIBLE_REP_LEGAUX", "INVISIBLE_REPRESENTANTS_LEGAUX").replace(
            "MODIF_CONF_CODE", "MODIF_CONFIDENTIALITYCODE"
        )
        for line in message.lines
    ]
    assert submission(message).flags == submission(Message(ORU_ADD)).flags


def test_mail_bodies_break_nothing() -> None:
    message = Message(ORU_ADD).add("OBX|12|ED|CORPSMAIL_PS^Corps^MetaDMPMSS||^TEXT^^Base64^Q2hl*||||||F")
    message.add("OBX|13|ED|CORPSMAIL_PATIENT^Corps||^TEXT^XML^Base64^Q||||||F")
    assert read_message(message).problems == ()


def test_a_flag_that_the_volet_does_not_have_is_a_warning() -> None:
    reading = read_message(Message(ORU_ADD).add("OBX|12|CE|DESTAUTRE^x^MetaDMPMSS||Y||||||F"))
    assert codes(reading) == [("VALUE_UNKNOWN", "W", "OBX[12]-3")]
    assert reading.answer is Answer.AA


def test_masked_and_hidden_from_the_patient_is_refused_and_a_deletion_passes() -> None:
    message = Message(ORU_ADD).flag("MASQUE_PS", "Y").flag("INVISIBLE_PATIENT", "Y")
    assert codes(read_message(message)) == [("FLAGS_FORBIDDEN", "E", "OBX[3]-5")]
    message = Message(ORU_DELETE).flag("MASQUE_PS", "Y").flag("INVISIBLE_PATIENT", "Y")
    assert [p.severity.err4 for p in submission(message).problems] == ["W"]


def test_a_change_of_visibility_is_a_replacement() -> None:
    assert codes(read_message(Message(ORU_ADD).flag("MODIF_CONF_CODE", "Y"))) == [("FLAGS_FORBIDDEN", "E", "OBX[6]-5")]
    assert submission(Message(ORU_REPLACE).flag("MODIF_CONF_CODE", "Y")).flags.modif_conf_code
    assert submission(Message(MDM_REPLACE).flag("MODIF_CONF_CODE", "Y")).problems == ()


@pytest.mark.parametrize("code", ["R", "V"])
def test_a_restricted_document_is_not_shared(code: str) -> None:
    message = Message(ORU_ADD).cda('confidentialityCode code="N"', f'confidentialityCode code="{code}"')
    assert [(p.code, p.document) for p in rejection(message).problems] == [("FLAGS_FORBIDDEN", 0)]


def test_what_the_flags_add_to_the_confidentiality() -> None:
    message = Message(ORU_ADD).flag("MASQUE_PS", "Y").flag("INVISIBLE_REP_LEGAUX", "Y")
    (document,) = submission(message).documents
    assert [code.code for code in document.entry.confidentiality_codes] == ["N", "MASQUE_PS", "INVISIBLE_REPRESENTANTS_LEGAUX"]
    assert {code.system for code in document.entry.confidentiality_codes[1:]} == {"1.2.250.1.213.1.1.4.13"}
    (document,) = submission(Message(ORU_ADD).flag("INVISIBLE_PATIENT", "Y")).documents
    assert [code.code for code in document.entry.confidentiality_codes] == ["N", "INVISIBLE_PATIENT"]


def test_unusual_flags_are_taken_with_one_warning() -> None:
    message = Message(ORU_ADD).flag("CONNEXION_SECRETE", "Y").flag("INVISIBLE_REP_LEGAUX", "Y")
    reading = read_message(message.flag("INVISIBLE_PATIENT", "Y"))
    assert [one[:2] for one in codes(reading)] == [("FLAGS_UNUSUAL", "W")]
    assert reading.answer is Answer.AA


def test_a_secret_connection_of_a_minor_is_usual() -> None:
    message = Message(ORU_ADD)
    message.put("PID", 7, "20120615").flag("CONNEXION_SECRETE", "Y").flag("INVISIBLE_REP_LEGAUX", "Y")
    assert "FLAGS_UNUSUAL" not in [one[0] for one in codes(read_message(message))]


def test_not_for_the_record_is_acknowledged_before_the_identity_is_looked_at() -> None:
    message = Message(ORU_ADD).flag("DESTDMP", "N").put("PID", 32, "PROV")
    reading = read_message(message)
    assert isinstance(reading.content, Rejection)
    assert reading.content.verdict is Verdict.IGNORED
    assert reading.content.document_ids == ("1.2.250.1.999.1.2.201",)
    assert reading.content.act == "add"
    assert (reading.answer, reading.parts, reading.problems) == (Answer.AA, (), ())


def test_a_message_that_does_not_say_whether_it_is_for_the_dmp_is_checked_as_if_it_were() -> None:
    message = Message(ORU_ADD).flag("DESTDMP", None).put("PID", 32, "PROV")
    assert {one[:2] for one in codes(read_message(message))} == {("FLAG_MISSING", "E"), ("INS_UNQUALIFIED", "E")}


def test_not_for_the_record_is_still_read_strictly() -> None:
    message = Message(ORU_ADD).flag("DESTDMP", "N")
    assert codes(read_message(message.put("OBX", 11, "C"))) == [("ACT_INCOHERENT", "E", "OBX[1]-11")]


@pytest.mark.parametrize("written", ["N~Y", "Y~N", "N^^expandedYes-NoIndicator~Y^^expandedYes-NoIndicator"])
def test_a_flag_that_says_both_at_once_says_nothing(written: str) -> None:
    assert [one[:2] for one in codes(read_message(Message(ORU_ADD).flag("MASQUE_PS", written)))] == [("FLAG_INVALID", "E")]
    assert codes(read_message(Message(ORU_ADD).flag("MASQUE_PS", "N~N"))) == []
