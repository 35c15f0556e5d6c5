"""PID: identifiers in their canonical form, traits, status."""

import msgspec
import pytest

from gateway.model.event import PatientEvent
from gateway.model.source import Directory
from gateway.model.submission import Submission
from gateway.model.when import Precision
from tests.strategies.messages import (
    ADT_UPDATE,
    DIRECTORY,
    INS,
    IPP,
    ORU_ADD,
    ORU_DELETE,
    Message,
    codes,
    event,
    read_message,
    submission,
)

ROOT = "1.2.250.1.213.1.4.10"
OWN = "chu-valmont/ipp"


def identifiers(pid3: str) -> list[tuple[str, str]]:
    """Read PID-3 of a deposit whose INS stands first."""
    found = submission(Message(ORU_ADD).put("PID", 3, f"{INS}~{pid3}")).patient.identifiers
    assert found[0].key == (ROOT, "284103523811464")
    return [known.key for known in found[1:]]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1^^^CHU-VALMONT&990000018&M^PI", [(OWN, "1")]),
        ("1^^^CHU-VALMONT^PI", [(OWN, "1")]),
        ("1^^^&990000018&M^PI", [(OWN, "1")]),
        ("1^^^&1.2.250.1.999.1.1&ISO^PI", [(OWN, "1")]),
        ("1^^^chu-valmont^PI", [(OWN, "1")]),
        # By a FINESS of the establishment, legal entity or site, with or without the 1 of its national form.
        ("1^^^&1990000018&M^PI", [(OWN, "1")]),
        ("1^^^&990000026&M^PI", [(OWN, "1")]),
        ("1^^^X&1 990000034&M^PI", [(OWN, "1")]),
        ("1^^^&990000059&M^PI", [("clinique-aubier/ipp", "1")]),
        ("1\u00a0^^^CHU-VALMONT^PI", [(OWN, "1")]),
        # Without authority, or spelt like the own establishment: a deposit is tested under the own domains.
        ("1^^^^PI", [(OWN, "1")]),
        ("1", [("", "1"), (OWN, "1")]),
        ("1^^^CHU\u2011VALMONT^PI", [("CHU\u2011VALMONT", "1"), (OWN, "1")]),
        ("1^^^CHU de Valmont&9.9&ISO^PI", [("9.9", "1"), (OWN, "1")]),
        # Another configured establishment has its own key; a stranger's is kept as written: oppositions are tested on each.
        ("1^^^CLINIQUE-AUBIER&990000042&M^PI", [("clinique-aubier/ipp", "1")]),
        ("1^^^CH-LOINTAIN&990000075&M^PI", [("990000075", "1")]),
        # Files, visits, billing numbers and the INS-C name no patient.
        ("1^^^CHU-VALMONT^AN~2^^^CHU-VALMONT^VN", []),
        ("284103523811464^^^ASIP&1.2.250.1.213.1.4.8&ISO^NH", []),
        ("0123456789012345678901^^^ASIP&1.2.250.1.213.1.4.2&ISO^INS-C", []),
        # Empty repetitions, nulls and doubles.
        ('~~^^^CHU-VALMONT^PI~""^^^CHU-VALMONT^PI', []),
        ("1^^^CHU-VALMONT^PI~1^^^&990000018^PI", [(OWN, "1")]),
        (INS, []),
    ],
)
def test_local_identifiers(written: str, expected: list[tuple[str, str]]) -> None:
    assert identifiers(written) == expected


def two_domains() -> Directory:
    """Return a directory whose first establishment numbers its patients in two ways."""
    first, *others = DIRECTORY.establishments
    both = msgspec.structs.replace(first, authorities={"ipp": ("IPP-V",), "old": ("OLD-V", "990000034")})
    return msgspec.structs.replace(DIRECTORY, establishments=(both, *others))


@pytest.mark.parametrize("written", ["1^^^^PI", "1", "1^^^&1990000018&M^PI", "1^^^&990000026&M^PI", "1^^^CHU-VALMONT^PI"])
def test_a_number_of_an_unsure_domain_is_tested_under_each_and_states_nothing(written: str) -> None:
    found = submission(Message(ORU_ADD).put("PID", 3, f"{INS}~{written}"), directory=two_domains()).patient.identifiers
    assert {known.key for known in found} >= {("chu-valmont/ipp", "1"), ("chu-valmont/old", "1")}
    reading = read_message(Message(ADT_UPDATE).put("PID", 3, f"{INS}~{written}"), directory=two_domains())
    assert isinstance(reading.content, PatientEvent)
    assert [known.authority for known in reading.content.identifiers] == [ROOT]
    assert codes(reading) == [("IDENTIFIER_FOREIGN", "W", "PID[1]-3[2]")]


def test_a_finess_that_is_a_spelling_of_one_domain_names_that_domain() -> None:
    for written in ("1^^^&990000034&M^PI", "1^^^&1990000034&M^PI", "1^^^1990000034^PI"):
        found = event(Message(ADT_UPDATE).put("PID", 3, written), directory=two_domains())
        assert [known.key for known in found.identifiers] == [("chu-valmont/old", "1")]


def test_an_event_may_use_a_number_of_its_own_establishment_however_it_is_spelt() -> None:
    for written in ("1^^^^PI", "1^^^&1990000018&M^PI", "1^^^&990000026&M^PI"):
        assert [known.key for known in event(Message(ADT_UPDATE).put("PID", 3, written)).identifiers] == [(OWN, "1")]
    for written in ("1", "1^^^^PT", "1^^^CHU\u2011VALMONT^PI", "1^^^&990000059&M^PI"):
        reading = read_message(Message(ADT_UPDATE).put("PID", 3, f"{INS}~{written}"))
        assert codes(reading) == [("IDENTIFIER_FOREIGN", "W", "PID[1]-3[2]")]


@pytest.mark.parametrize("written", ["1" * 251 + "^^^CHU-VALMONT^PI", "1^^^" + "A" * 251 + "^PI", "\\X31\\" * 9000 + "^^^A^PI"])
def test_an_identifier_that_is_longer_than_any_is(written: str) -> None:
    assert codes(read_message(Message(ORU_ADD).put("PID", 3, f"{INS}~{written}"))) == [("FIELD_INVALID", "E", "PID[1]-3[2]")]
    reading = read_message(Message(ORU_DELETE).put("PID", 3, f"{INS}~{written}"))
    assert isinstance(reading.content, Submission)
    assert codes(reading) == [("FIELD_INVALID", "W", "PID[1]-3[2]")]
    reading = read_message(Message(ADT_UPDATE).put("PID", 3, f"{IPP}~{written}"))
    assert isinstance(reading.content, PatientEvent)
    assert [known.value for known in reading.content.identifiers] == ["100001"]
    assert codes(reading) == [("FIELD_INVALID", "W", "PID[1]-3[2]")]


def test_the_longest_identifier() -> None:
    assert identifiers("\\X31\\" * 250 + "^^^CHU-VALMONT^PI") == [(OWN, "1" * 250)]


@pytest.mark.parametrize(
    "written",
    [
        '<id root="1.2.250.1.999.1.1" extension=" 100001 "/>',
        '<id root="1.2.250.1.999.1.1" extension="100001\u00a0"/>',
        '<id root=" 1.2.250.1.999.1.1" extension="100001"/>',
        '<id root="urn:oid:1.2.250.1.999.1.1" extension="100001"/>',
        '<id root="URN:OID:1.2.250.1.999.1.1 " extension="100001"/>',
    ],
)
def test_an_identifier_of_the_document_however_it_is_spelt(written: str) -> None:
    message = Message(ORU_ADD).put("PID", 3, INS).cda('<id root="1.2.250.1.999.1.1" extension="100001"/>', written)
    (document,) = submission(message).documents
    assert (OWN, "100001") in {known.key for known in document.patients[0].identifiers}


def test_nothing_of_an_ins_is_repaired_in_the_document() -> None:
    message = Message(ORU_ADD).cda('extension="284103523811464"', 'extension=" 284103523811464"')
    assert "INS_KEY" in {one[0] for one in codes(read_message(message))}


def test_an_identifier_of_the_document_that_is_longer_than_any_is() -> None:
    message = Message(ORU_ADD).cda('extension="100001"', f'extension="{"1" * 251}"')
    assert [one[:2] for one in codes(read_message(message))] == [("CDA_INVALID", "E")]


@pytest.mark.parametrize(
    "written",
    [
        "284103523811464^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS",
        "284103523811464^^^&1.2.250.1.213.1.4.10&ISO",
        "284103523811464^^^1.2.250.1.213.1.4.10^INS",
        "284103523811464^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^PI",
    ],
)
def test_an_ins_goes_by_its_type_or_its_root(written: str) -> None:
    (ins,) = submission(Message(ORU_ADD).put("PID", 3, written)).patient.ins
    assert ins.key == (ROOT, "284103523811464")
    assert ins.place is not None
    assert ins.place.path == "PID[1]-3[1]"


def test_the_nir_stands_before_the_nia() -> None:
    nia = INS.replace(".4.10", ".4.9").replace("284103523811464", "260058815400233")
    patient = submission(Message(ORU_ADD).put("PID", 3, f"{nia}~{INS}")).patient
    assert [known.authority[-3:] for known in patient.ins] == [".10", "4.9"]


def test_traits_are_kept_as_received() -> None:
    message = Message(ORU_ADD).put("PID", 5, "X^Y^^^^^S~Usé^Zoé^^^^^D~L'Été-Un^ADELE^ADELE LOUISE^^^^L").put("PID", 7, "19841002")
    traits = submission(message).patient.traits
    assert (traits.birth_name, traits.used_name) == ("L'Été-Un", "Usé")
    assert (traits.first_given_name, traits.given_names) == ("ADELE", "ADELE LOUISE")
    assert traits.birth_date is not None
    assert (traits.birth_date.iso, traits.birth_date.precision) == ("1984-10-02", Precision.DAY)
    assert (traits.sex, traits.birth_place) == ("F", "35238")


def test_each_trait_has_its_place() -> None:
    message = Message(ORU_ADD)
    payload = message.payload
    patient = submission(message).patient
    spans = {name: payload[place.start : place.end].decode() for name, place in patient.places.items()}
    assert spans["traits.birth_name"] == patient.traits.birth_name
    assert spans["traits.given_names"] == patient.traits.given_names
    assert spans["traits.birth_place"] == patient.traits.birth_place
    assert spans["traits.birth_date"] == "19841002"
    assert spans["reliability"] == "VALI"


def test_every_repetition_of_the_status_is_read() -> None:
    found = event(Message(ADT_UPDATE).put("PID", 32, "VALI~HOMA"))
    assert found.identity.reliability == ("VALI", "HOMA")
    assert found.links


def test_an_unreadable_trait_is_an_error_in_a_deposit_and_a_warning_in_an_event() -> None:
    reading = read_message(Message(ORU_ADD).put("PID", 7, "02/10/1984").put("PID", 8, "X"))
    assert codes(reading) == [("FIELD_INVALID", "E", "PID[1]-7"), ("VALUE_UNKNOWN", "E", "PID[1]-8")]
    reading = read_message(Message(ADT_UPDATE).put("PID", 7, "02/10/1984"))
    assert isinstance(reading.content, PatientEvent)
    assert codes(reading) == [("DATE_INVALID", "W", "PID[1]-7")]


def test_the_visit_and_the_content_type() -> None:
    found = submission(Message(ORU_ADD).put("PV1", 19, "V1^^^CHU-VALMONT&990000018&M^VN"))
    assert found.visit is not None
    assert (found.visit.value, found.visit.authority, found.visit.type) == ("V1", "CHU-VALMONT", "VN")
    expected = {"I": "03", "O": "07", "E": "07", "R": "19", "N": "97", "V": "97", "": None, "?": None}
    for written, code in expected.items():
        content = submission(Message(ORU_ADD).put("PV1", 2, written)).content_type
        assert (content.code if content else None) == code


def test_local_identifiers_of_the_document_are_canonical_too() -> None:
    (document,) = submission(Message(ORU_ADD).put("PID", 3, f"{IPP}~{INS}")).documents
    assert {known.authority for known in document.patients[0].identifiers} == {ROOT, OWN}
