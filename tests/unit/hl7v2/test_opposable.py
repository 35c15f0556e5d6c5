"""What a deposit carries for oppositions to be tested on: establishments and sites, kinds, professionals, its author."""

import msgspec
import pytest

from gateway.model.event import Position, Scope
from gateway.model.source import Directory, Grant, OppositionScope, SourceKind
from gateway.rules import deposit as rules
from gateway.rules import opposition
from gateway.rules.opposition import Held
from tests.strategies.messages import ADT_IO, DIRECTORY, MDM_ADD, MDM_LEVEL_3, ORU_TWO, Message, event, submission
from tests.strategies.records import START, deposit, stated

INS_ROOT, INS = "1.2.250.1.213.1.4.10", "284103523811464"
RADIOLOGIST = "899900000029"
AUTHOR = f'<id root="1.2.250.1.71.4.2.1" extension="{RADIOLOGIST}"/>'
EG1, EG2 = "chu-valmont/990000026", "chu-valmont/990000034"


def directory(*, site: str | None = None, source_kind: SourceKind | None = None, **establishment: object) -> Directory:
    """The sample configuration with its hospital, and that hospital's sources, set otherwise."""
    replace = msgspec.structs.replace
    return Directory(
        establishments=tuple(
            replace(each, **establishment) if each.id == "chu-valmont" else each for each in DIRECTORY.establishments
        ),
        sources=tuple(
            replace(each, site=site, kind=source_kind) if each.establishment == "chu-valmont" else each
            for each in DIRECTORY.sources
        ),
    )


# -- kinds


def test_a_source_is_of_its_own_kind_and_of_its_establishments() -> None:
    assert submission(Message(MDM_ADD)).source_kinds == ("hospital",)
    imaging = directory(source_kind=SourceKind.IMAGING)
    assert submission(Message(MDM_ADD), directory=imaging).source_kinds == ("imaging", "hospital")
    practice = directory(kind=SourceKind.PRACTICE, source_kind=SourceKind.PRACTICE)
    assert submission(Message(MDM_ADD), directory=practice).source_kinds == ("practice",)


# -- professionals


def test_every_author_and_signatory_and_sender_counts() -> None:
    message = Message(MDM_ADD).cda(AUTHOR, AUTHOR.replace(RADIOLOGIST, "10001234567"), occurrence=1)
    found = submission(message)
    assert found.professionals == (RADIOLOGIST,)  # PRT-5
    assert found.documents[0].professionals == ("810001234567",)  # both of the document


def test_the_signatory_counts_beside_the_author() -> None:
    message = Message(MDM_ADD).cda(
        f"<assignedEntity>\n      {AUTHOR}", f"<assignedEntity>\n      {AUTHOR.replace(RADIOLOGIST, '0751234567')}"
    )
    assert submission(message).documents[0].professionals == (RADIOLOGIST, "0751234567")


def test_every_number_of_an_author_counts() -> None:
    other = '<id root="1.2.250.1.71.4.2.1" extension="075123456"/><id root="1.2.250.1.999.4" extension="m-42"/>'
    found = submission(Message(MDM_ADD).cda(AUTHOR, AUTHOR + other))
    assert found.documents[0].professionals == (RADIOLOGIST, "0075123456", "M-42")


def test_every_repetition_of_a_sender_counts() -> None:
    message = Message(MDM_ADD)
    written = message.get("PRT", 5)
    found = submission(message.put("PRT", 5, f"{written}~810001234567^AUTRE~^SANS-NUMERO"))
    assert found.professionals == (RADIOLOGIST, "810001234567")
    assert found.sender is not None and found.sender.person is not None
    assert found.sender.person.family == "MODELE-RADIO"


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("810001234567", "810001234567"),
        ("10001234567", "810001234567"),
        (" 8 1000 1234 567 ", "810001234567"),
        ("0751234567", "0751234567"),
        ("751234567", "0751234567"),
        ("02a1234567", "02A1234567"),
        ("3750100125/42a", "3750100125/42A"),
    ],
)
def test_however_a_number_is_written(written: str, key: str) -> None:
    message = Message(MDM_ADD)
    rest = message.get("PRT", 5).split("^", 1)[1]
    assert submission(message.put("PRT", 5, f"{written}^{rest}")).professionals == (key,)


# -- the patient's own


def test_a_document_by_the_patient_is_one() -> None:
    patient = f'<id root="{INS_ROOT}" extension="{INS}"/>'
    assert not submission(Message(MDM_ADD)).documents[0].by_patient
    # The signatory may be anyone: the author is the patient.
    author = f"<assignedAuthor>\n      {AUTHOR}"
    found = submission(Message(MDM_ADD).cda(author, author.replace(AUTHOR, patient)))
    assert found.documents[0].by_patient
    both = submission(Message(MDM_ADD).cda(author, author.replace(AUTHOR, patient + AUTHOR)))
    assert not both.documents[0].by_patient


def test_each_document_of_a_message_is_told_apart() -> None:
    assert [one.by_patient for one in submission(Message(ORU_TWO)).documents] == [False, False]


# -- sites


def by_site(site: str | None = None) -> Directory:
    return directory(opposition_scope=OppositionScope.SITE, site=site)


def test_an_establishment_is_one_unless_it_says_otherwise() -> None:
    assert submission(Message(MDM_ADD)).establishments == ("chu-valmont",)
    assert event(Message(ADT_IO)).statements[0].scope_value == "chu-valmont"
    located = directory(site="990000026")
    assert submission(Message(MDM_ADD), directory=located).establishments == ("chu-valmont",)
    assert event(Message(ADT_IO), directory=located).statements[0].scope_value == "chu-valmont"


def test_a_deposit_names_the_site_of_its_source_and_each_that_its_papers_name() -> None:
    assert submission(Message(MDM_ADD), directory=by_site("990000026")).establishments == ("chu-valmont", EG1)
    # Its sender and custodian say the first site.
    assert submission(Message(MDM_ADD), directory=by_site("990000034")).establishments == ("chu-valmont", EG2, EG1)
    assert submission(Message(MDM_ADD), directory=by_site()).establishments == ("chu-valmont", EG1)


def test_where_no_site_is_named_all_are() -> None:
    message = Message(MDM_LEVEL_3)
    for number in ("990000026", "990000034"):
        prt = message.get("PRT", 8)
        message.put("PRT", 8, prt.replace(number, "990000018"))
        if f"1{number}" in _document(message):
            message.cda(f"1{number}", "1990000018")
    assert submission(message, directory=by_site()).establishments == ("chu-valmont", EG1, EG2)


def test_an_opposition_kept_when_the_configuration_was_another_binds_all_the_same() -> None:
    """Before the hospital was configured it was known by a FINESS, and while its sites were told apart by each."""
    whole, first, second = "finess:990000018", "finess:990000026", "finess:990000034"
    assert submission(Message(MDM_ADD)).formerly == (EG1, EG2, whole, first, second)
    assert submission(Message(MDM_ADD), directory=by_site()).formerly == (whole, first)
    assert set(submission(Message(MDM_ADD), directory=by_site("990000034")).formerly) == {whole, first, second}


@pytest.mark.parametrize("then", ["finess:990000018", "finess:990000026", EG2])
def test_what_was_opposed_then_refuses_now(then: str) -> None:
    content = submission(Message(MDM_ADD))
    made = deposit("r1", START)
    about = rules.facts(content, made.reception)
    said = stated(Position.OPPOSES, None, scope=Scope.ESTABLISHMENT, value=then)
    held = Held(id="s1", statement=said, received_at=START, committed_at=START, sequence=1)
    assert opposition.decide(content.act, [held], START, rules.subject(about, about.documents[0])).refuses
    other = msgspec.structs.replace(content, establishments=("clinique-aubier",), formerly=())
    about = rules.facts(other, made.reception)
    assert not opposition.decide(content.act, [held], START, rules.subject(about, about.documents[0])).refuses


def _document(message: Message) -> str:
    import base64

    return base64.b64decode(message.get("OBX", 5).split("^")[4]).decode()


def test_a_source_of_a_site_speaks_for_its_site() -> None:
    (statement,) = event(Message(ADT_IO), directory=by_site("1990000026")).statements
    assert (statement.collected_by, statement.scope, statement.scope_value) == ("chu-valmont", Scope.ESTABLISHMENT, EG1)
    (statement,) = event(Message(ADT_IO), directory=by_site()).statements
    assert statement.scope_value == "chu-valmont"


def test_consultation_is_of_the_establishment_whatever_its_sites() -> None:
    grants = frozenset({Grant.STATE_OPPOSITION})
    found = event(Message(ADT_IO).put("ZFA", 11, "INC"), directory=by_site("990000026"), grants=grants)
    assert [one.scope_value for one in found.statements] == [EG1, "chu-valmont"]
