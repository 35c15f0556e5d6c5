"""The identity gate of deposits (D-19)."""

import pytest

from gateway.model.ins import is_matricule
from gateway.model.problem import Answer
from tests.strategies.messages import (
    INS,
    IPP,
    MDM_ADD,
    MDM_DELETE,
    ORU_ADD,
    ORU_DELETE,
    ORU_TWO,
    Message,
    codes,
    read_message,
    rejection,
    submission,
)

WRONG = INS.replace("811464", "811463")
OTHER = INS.replace("284103523811464", "212061305520911")
NIA = INS.replace(".4.10", ".4.9").replace("284103523811464", "260058815400233")
CDA_INS = '<id root="1.2.250.1.213.1.4.10" extension="284103523811464"/>'


def first(message: Message, environment: str = "test") -> str:
    return rejection(message, environment=environment).problems[0].code


def test_an_identity_without_ins() -> None:
    message = Message(ORU_ADD).put("PID", 3, IPP)
    assert codes(read_message(message)) == [("INS_ABSENT", "E", "PID[1]-3")]
    assert rejection(message).patient == "100001"
    # Unqualified and without INS: the INS is what is missing.
    assert codes(read_message(message.put("PID", 32, "PROV"))) == [
        ("INS_ABSENT", "E", "PID[1]-3"),
    ]


def test_the_billing_number_is_no_ins() -> None:
    assert first(Message(ORU_ADD).put("PID", 3, "284103523811464^^^X&1.2.250.1.213.1.4.8&ISO^NH")) == "INS_ABSENT"


def test_a_structured_document_without_ins() -> None:
    reading = read_message(Message(ORU_ADD).cda(CDA_INS, ""))
    assert [(p.code, p.document) for p in reading.problems] == [("INS_ABSENT", 0)]


def test_several_ins_and_a_nia_beside_the_nir() -> None:
    reading = read_message(Message(ORU_ADD).put("PID", 3, f"{INS}~{OTHER}"))
    assert codes(reading) == [("INS_SEVERAL", "E", "PID[1]-3")]
    assert submission(Message(ORU_ADD).put("PID", 3, f"{NIA}~{INS}")).patient.ins[0].value == "284103523811464"
    assert len(submission(Message(ORU_ADD).put("PID", 3, f"{INS}~{INS}")).patient.ins) == 1


@pytest.mark.parametrize(
    "matricule",
    [
        "284103523811463",
        "2841035238114",
        " 284103523811464",
        "2 84 10 35 238 114 64",
        "178032a00402775",
        "194012000123415",
        "084103523811464",
    ],
)
def test_a_wrong_key_is_never_repaired(matricule: str) -> None:
    assert not is_matricule(matricule)
    reading = read_message(Message(ORU_ADD).put("PID", 3, f"{IPP}~{INS.replace('284103523811464', matricule)}"))
    assert codes(reading) == [("INS_KEY", "E", "PID[1]-3[2]")]


def test_a_wrong_key_in_the_document_only() -> None:
    reading = read_message(Message(ORU_ADD).cda("284103523811464", "284103523811463"))
    assert [(p.code, p.document) for p in reading.problems if p.code == "INS_KEY"] == [("INS_KEY", 0)]
    assert rejection(Message(ORU_ADD).cda("284103523811464", "284103523811463")).problems[0].code == "INS_KEY"


@pytest.mark.parametrize("root", [".8", ".9", ".10", ".11"])
def test_roots_by_environment(root: str) -> None:
    message = Message(ORU_ADD).put("PID", 3, INS.replace(".4.10", f".4{root}"))
    message.cda('root="1.2.250.1.213.1.4.10"', f'root="1.2.250.1.213.1.4{root}"')
    assert submission(message).patient.ins[0].authority.endswith(root)
    if root in {".8", ".9"}:
        assert submission(message, environment="production").patient.ins[0].authority.endswith(root)
    else:
        assert codes(read_message(message, environment="production"))[0] == ("INS_ROOT", "E", "PID[1]-3[1]")


def test_an_ins_under_another_root() -> None:
    for authority in ("ASIP&1.2.3&ISO", "ASIP", ""):
        assert first(Message(ORU_ADD).put("PID", 3, f"284103523811464^^^{authority}^INS")) == "INS_ROOT"


@pytest.mark.parametrize(
    "status", ["PROV", "VIDE", "", "VALI~DOUT", "FICT~VALI", "VALI~ANOM", "VALI~USUR", "VALI~COLV", "VALI~DOUB"]
)
def test_only_a_qualified_identity_deposits(status: str) -> None:
    reading = read_message(Message(ORU_ADD).put("PID", 32, status))
    assert codes(reading) == [("INS_UNQUALIFIED", "E", "PID[1]-32")]
    assert reading.answer is Answer.AE


def test_a_homonym_deposits() -> None:
    assert submission(Message(ORU_ADD).put("PID", 32, "VALI~HOMA")).patient.reliability == ("VALI", "HOMA")


@pytest.mark.parametrize(
    ("field", "written"),
    [(5, "ESSAI-UN^ADELE^^^^^D"), (5, ""), (7, ""), (8, ""), (8, '""'), (11, "7 Allée^^VALMONT^^35990^FRA^H"), (11, "^^^^^^BDL")],
)
def test_each_strict_trait_is_asked_for(field: int, written: str) -> None:
    assert codes(read_message(Message(ORU_ADD).put("PID", field, written))) == [("TRAITS_MISSING", "E", f"PID[1]-{field}")]


def test_every_missing_trait_is_told_at_once() -> None:
    message = Message(ORU_ADD).put("PID", 5, "").put("PID", 7, "").put("PID", 8, "").put("PID", 11, "").put("PID", 32, "PROV")
    assert [p.code for p in rejection(message).problems] == ["INS_UNQUALIFIED"] + ["TRAITS_MISSING"] * 4
    assert [one[2] for one in codes(read_message(message))] == [
        "PID[1]-5",
        "PID[1]-7",
        "PID[1]-8",
        "PID[1]-11",
        "PID[1]-32",
    ]


def test_the_message_and_the_document_name_one_patient() -> None:
    reading = read_message(Message(ORU_ADD).put("PID", 3, OTHER))
    assert [(p.code, p.document) for p in reading.problems] == [("PID_CDA_DIFFER", 0)]
    # The same matricule under another root is another identity.
    message = Message(ORU_ADD).cda('root="1.2.250.1.213.1.4.10"', 'root="1.2.250.1.213.1.4.11"')
    assert first(message) == "PID_CDA_DIFFER"


def test_each_document_is_compared() -> None:
    message = Message(ORU_TWO)
    documents = submission(message).documents
    assert len(documents) == 2
    ins = documents[1].patients[0].ins[0].value
    second = next(n for n in range(1, 9) if message.get("OBX", 2, n) == "ED" and n > 1)
    message.cda(ins, "284103523811464" if ins != "284103523811464" else "212061305520911", second)
    assert [(p.code, p.document) for p in rejection(message).problems] == [("PID_CDA_DIFFER", 1)]


def test_a_level_1_document_without_ins_goes_by_its_traits() -> None:
    message = Message(MDM_ADD).cda(CDA_INS, "")
    assert submission(message).documents[0].patients[0].ins == ()
    for old, new in (
        ("ESSAI-UN", "ESSAI-DEUX"),
        ('<given qualifier="BR">ADELE<', '<given qualifier="BR">LOUISE<'),
        ('birthTime value="19841002"', 'birthTime value="19841003"'),
        ('administrativeGenderCode code="F"', 'administrativeGenderCode code="M"'),
    ):
        assert first(Message(MDM_ADD).cda(CDA_INS, "").cda(old, new)) == "PID_CDA_DIFFER"
    # Written another way, the same name.
    assert submission(Message(MDM_ADD).cda(CDA_INS, "").cda("ESSAI-UN", "Essai un"))


@pytest.mark.parametrize("sample", [MDM_DELETE, ORU_DELETE])
def test_a_deletion_is_tested_for_key_root_and_patient_only(sample: str) -> None:
    message = Message(sample).put("PID", 32, "PROV").put("PID", 7, "").put("PID", 5, "")
    assert {p.severity.err4 for p in submission(message).problems} == {"W"}
    assert first(Message(sample).put("PID", 3, IPP)) == "INS_ABSENT"
    assert first(Message(sample).put("PID", 3, WRONG)) == "INS_KEY"
    assert first(Message(sample), environment="production") == "INS_ROOT"
    assert first(Message(sample).put("PID", 3, OTHER)) == "PID_CDA_DIFFER"


@pytest.mark.parametrize("sample", [MDM_DELETE, ORU_DELETE])
def test_a_deletion_whose_document_has_no_ins(sample: str) -> None:
    message = Message(sample).cda(CDA_INS, "")
    expected = [("INS_ABSENT", "W")] if sample == ORU_DELETE else []
    assert [(p.code, p.severity.err4) for p in submission(message).problems] == expected
    assert {p.severity.err4 for p in submission(message.put("PID", 7, "")).problems} == {"W"}
    assert first(Message(sample).cda(CDA_INS, "").cda("ESSAI-UN", "ESSAI-DEUX")) == "PID_CDA_DIFFER"


def test_the_order_of_precedence() -> None:
    message = Message(ORU_ADD).put("PID", 3, f"{WRONG}~{OTHER}").put("PID", 32, "PROV").put("PID", 8, "")
    found = [p.code for p in rejection(message, environment="production").problems]
    assert list(dict.fromkeys(found)) == ["INS_SEVERAL", "INS_KEY", "INS_ROOT", "INS_UNQUALIFIED", "TRAITS_MISSING"]
