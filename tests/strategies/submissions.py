"""Deposits as a mapper makes them: one builder for examples, one strategy for properties."""

import hashlib
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from gateway.model.code import Code, Identifier
from gateway.model.document import Author, Document, DocumentEntry, Organisation, Person
from gateway.model.outcome import DocumentOutcome, Outcome
from gateway.model.patient import PatientId, PatientIdentity, Traits
from gateway.model.place import Place
from gateway.model.problem import Problem, Severity
from gateway.model.submission import Act, Carrier, Deposit, Flags, Reception, Submission
from gateway.model.verdict import Verdict
from gateway.model.when import When

#: The root of test INS.
INS_TEST = "1.2.250.1.213.1.4.10"
START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def patient(ins: str = "275016301234597", family: str = "CANARI") -> PatientIdentity:
    """A synthetic patient with an INS and a local id."""
    return PatientIdentity(
        identifiers=(
            PatientId(value=ins, authority=INS_TEST, type="INS", place=Place(path="PID[1]-3[1]", start=120, end=135)),
            PatientId(value="00123", authority="valmont/ipp", type="PI"),
        ),
        traits=Traits(birth_name=family, first_given_name="ÉLOÏSE", birth_date=When.read("19750112"), sex="F"),
        reliability=("VALI",),
        places={"traits.birth_name": Place(path="PID[1]-5[1].1", start=140, end=146)},
    )


def entry(unique_id: str, content: bytes, title: str = "Compte rendu d'imagerie") -> DocumentEntry:
    """The entry of a document with those bytes."""
    return DocumentEntry(
        unique_id=unique_id,
        set_id="1.2.250.1.213.9.1",
        version=1,
        type_code=Code(code="18748-4", system="2.16.840.1.113883.6.1", display="CR d'imagerie"),
        title=title,
        language="fr-FR",
        creation_time=When.read("20261121093000+0100"),
        confidentiality_codes=(Code(code="N", system="2.16.840.1.113883.5.25"),),
        mime_type="text/xml",
        size=len(content),
        hash=hashlib.sha1(content).hexdigest(),
        digest=hashlib.sha256(content).hexdigest(),
        authors=(Author(person=Person(id=Identifier(value="801234567897"), family="MEDECIN")),),
        custodian=Organisation(id=Identifier(value="1120456789"), name="CH de Valmont"),
        level=1,
        content_media_type="application/pdf",
    )


def deposit(
    number: int = 0,
    *,
    contents: tuple[bytes, ...] = (b"<ClinicalDocument/>",),
    payload: bytes = b"MSH|^~\\&|RIS|VALMONT\r",
    identity: PatientIdentity | None = None,
    title: str = "Compte rendu d'imagerie",
    act: Act = Act.ADD,
    door: str = "mllp",
    receipt: str | None = None,
) -> Deposit:
    """One deposit; `number` makes its ids its own."""
    known = identity or patient()
    documents = tuple(
        Document(entry=entry(f"1.2.250.1.213.9.{number}.{place}", content, title), patients=(known,), part=place)
        for place, content in enumerate(contents, 1)
    )
    return Deposit(
        reception=Reception(
            receipt=receipt or f"receipt-{number:06}",
            received_at=(START + timedelta(seconds=number)).isoformat(timespec="microseconds"),
            door=door,
            source="ris-valmont",
            establishment="valmont",
            application="RIS",
            facility="VALMONT",
            message_id=f"{number:06}",
            message_type="MDM^T02",
            message_digest=hashlib.sha256(payload).hexdigest(),
        ),
        submission=Submission(
            act=act,
            patient=known,
            documents=documents,
            establishments=("valmont",),
            carriers=tuple(
                Carrier(part=place, start=len(payload), end=len(payload), padding=0) for place in range(1, len(contents) + 1)
            ),
        ),
        parts=(payload, *contents),
    )


def outcome(made: Deposit, verdict: Verdict = Verdict.STORED) -> Outcome:
    """An outcome for a deposit."""
    return Outcome(
        verdict=verdict,
        receipt=made.reception.receipt,
        documents=tuple(DocumentOutcome(unique_id=each.entry.unique_id, verdict=verdict) for each in made.submission.documents),
        committed_at=made.reception.received_at,
    )


#: Any text that the model lets through: no NUL, no lone surrogate.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
identifiers = st.builds(PatientId, value=texts, authority=texts, type=st.none() | texts)
identities = st.builds(
    PatientIdentity,
    identifiers=st.lists(identifiers, max_size=3).map(tuple),
    traits=st.builds(Traits, birth_name=st.none() | texts, given_names=st.none() | texts),
    reliability=st.lists(texts, max_size=2).map(tuple),
)
problems = st.builds(Problem, code=st.sampled_from(["INS_KEY", "OPPOSED"]), severity=st.sampled_from(Severity), detail=texts)
#: Bytes that shrink and bytes that do not.
contents = st.binary(max_size=200) | st.builds(lambda seed, times: seed * times, st.binary(max_size=20), st.integers(0, 200))


@st.composite
def deposits(draw: st.DrawFn) -> Deposit:
    """Any deposit whose parts exist."""
    documents = tuple(draw(st.lists(contents, min_size=1, max_size=3)))
    made = deposit(
        draw(st.integers(0, 999_999)),
        contents=documents,
        payload=draw(contents),
        identity=draw(identities),
        title=draw(texts),
        act=draw(st.sampled_from(Act)),
        door=draw(st.sampled_from(["mllp", "http", "feed"])),
    )
    submission = made.submission
    changed = Submission(
        act=submission.act,
        patient=submission.patient,
        documents=submission.documents,
        flags=draw(st.builds(Flags, masque_ps=st.booleans(), invisible_patient=st.booleans())),
        establishments=tuple(draw(st.lists(texts, min_size=1, max_size=2))),
        problems=tuple(draw(st.lists(problems, max_size=2))),
        carriers=submission.carriers,
    )
    return Deposit(reception=made.reception, submission=changed, parts=made.parts)
