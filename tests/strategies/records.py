"""Deposits and events of the record: builders for examples, strategies for properties, and a clock that only moves when asked."""

import base64
import hashlib
import itertools
import threading
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import strategies as st

from gateway.mappers.common import carrier
from gateway.model.code import Code, Identifier
from gateway.model.document import Author, Document, DocumentEntry, Entry, Organisation, Person
from gateway.model.event import (
    Consent,
    PatientEvent,
    Position,
    RecordClosing,
    RecordEvent,
    RecordOpening,
    Right,
    Scope,
    Side,
    Statement,
    Stay,
    StayState,
)
from gateway.model.ins import ROOT_TEST, control_key
from gateway.model.patient import PatientId, PatientIdentity, Traits
from gateway.model.problem import Problem
from gateway.model.source import SourceKind
from gateway.model.submission import Act, Deposit, Flags, Reception, Submission
from gateway.model.when import When

#: 10 March 2026, nine o'clock in Paris.
START = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)

H1, H2 = "h1", "h2"


class Ticking:
    """A clock that moves by a millisecond each time it is read, and else when told."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            self._now += timedelta(milliseconds=1)
            return self._now

    def set(self, instant: datetime) -> None:
        """Set it, ahead or back."""
        with self._lock:
            self._now = instant

    def pass_by(self, **span: float) -> None:
        """Let time pass."""
        with self._lock:
            self._now += timedelta(**span)


def ins(thirteen: str) -> PatientId:
    """A test INS with its right key."""
    return PatientId(value=f"{thirteen}{control_key(thirteen):02}", authority=ROOT_TEST, type="INS")


def local(establishment: str, value: str) -> PatientId:
    """A local identifier of an establishment."""
    return PatientId(value=value, authority=f"{establishment}/ipp", type="PI")


ALICE, BORIS, CARLA = ins("2750163012345"), ins("1540775012345"), ins("2981299123456")


def reception(
    receipt: str,
    at: datetime,
    *,
    establishment: str = H1,
    message_id: str | None = None,
    digest: str | None = None,
    message_type: str = "MDM^T02",
) -> Reception:
    """The facts of receiving a message; each message has its own MSH-10 and digest unless they are given."""
    return Reception(
        receipt=receipt,
        received_at=at.astimezone(UTC).isoformat(timespec="microseconds"),
        door="mllp",
        source=f"ris-{establishment}",
        establishment=establishment,
        application="RIS",
        facility=establishment.upper(),
        message_id=receipt if message_id is None else message_id,
        message_type=message_type,
        message_digest=digest or hashlib.sha256(receipt.encode()).hexdigest(),
    )


def document(
    unique_id: str,
    content: bytes,
    part: int,
    patient: PatientIdentity,
    *,
    set_id: str | None = None,
    version: int | None = None,
    replaces: tuple[str, ...] = (),
    type_code: str = "11502-2",
    class_code: str | None = None,
    title: str = "CR d'examens biologiques",
    author: str = "MEDECIN",
    authors: tuple[tuple[str, str | None], ...] = (("801234567897", None),),
    signed_by: str | None = None,
    entries: tuple[Entry, ...] = (),
) -> Document:
    """One document with an entry that fits its bytes."""
    return Document(
        entry=DocumentEntry(
            unique_id=unique_id,
            set_id=set_id,
            version=version,
            type_code=Code(code=type_code, system="2.16.840.1.113883.6.1"),
            class_code=None if class_code is None else Code(code=class_code),
            title=title,
            language="fr-FR",
            creation_time=When.read("20260310"),
            confidentiality_codes=(Code(code="N"),),
            mime_type="text/xml",
            size=len(content),
            hash=hashlib.sha1(content).hexdigest(),
            digest=hashlib.sha256(content).hexdigest(),
            authors=tuple(
                Author(person=Person(id=Identifier(value=number, authority=authority), family=author))
                for number, authority in authors
            ),
            legal_authenticator=None if signed_by is None else Author(person=Person(id=Identifier(value=signed_by))),
            custodian=Organisation(name="CH"),
            replaces=replaces,
            level=3,
        ),
        patients=(patient,),
        part=part,
        entries=entries,
    )


def deposit(
    receipt: str,
    at: datetime,
    *,
    patient: tuple[PatientId, ...] = (ALICE,),
    target: tuple[PatientId, ...] | None = None,
    establishments: tuple[str, ...] = (H1,),
    kinds: tuple[SourceKind, ...] = (SourceKind.HOSPITAL,),
    sent_by: tuple[str, ...] = (),
    act: Act = Act.ADD,
    documents: tuple[tuple[str, bytes], ...] = (("1.2.3", b"<ClinicalDocument>un</ClinicalDocument>"),),
    flags: Flags | None = None,
    message_id: str | None = None,
    digest: str | None = None,
    problems: tuple[Problem, ...] = (),
    **entry: object,
) -> Deposit:
    """
    A deposit as the HL7v2 mapper makes one, documents cut out of their message.

    `target` is the recordTarget where it differs from PID-3; `entry` goes to `document`.
    """
    identity = PatientIdentity(identifiers=patient)
    target_identity = identity if target is None else PatientIdentity(identifiers=target)
    payload = b"MSH|^~\\&|RIS|H1\rPID|1\r"
    carried = []
    for _, content in documents:
        payload += b"OBX|1|ED|||^^^^Base64^"
        encoded = base64.b64encode(content)
        carried.append(carrier.Carried(carrier.decode(encoded), len(payload), len(payload) + len(encoded)))
        payload += encoded[:-2] + encoded[-2:] + b"||||||F\r"
    parts, carriers = carrier.cut(payload, carried)
    return Deposit(
        reception=reception(receipt, at, establishment=establishments[0], message_id=message_id, digest=digest),
        submission=Submission(
            act=act,
            patient=identity,
            documents=tuple(
                document(unique_id, content, number, target_identity, **entry)
                for number, (unique_id, content) in enumerate(documents, 1)
            ),
            flags=flags or Flags(),
            establishments=establishments,
            source_kinds=kinds,
            professionals=sent_by,
            problems=problems,
            carriers=carriers,
        ),
        parts=parts,
    )


def payload_of(made: Deposit) -> bytes:
    """The message that a deposit came as."""
    return carrier.restore(made.parts, made.submission.carriers)


def stated(
    position: Position,
    side: str | None = H1,
    *,
    at: str | None = "20260310",
    scope: Scope = Scope.ALL,
    value: str | None = None,
    right: Right = Right.FEEDING,
    visit: str | None = None,
) -> Statement:
    """A statement of an establishment for itself (`side`), or of the patient (`side` None) for a scope."""
    whose = (
        {"side": Side.PATIENT, "collected_by": "desk", "scope": scope, "scope_value": value}
        if side is None
        else {"side": Side.ESTABLISHMENT, "collected_by": side, "scope": Scope.ESTABLISHMENT, "scope_value": side}
    )
    return Statement(
        right=right,
        position=position,
        collected_at=None if at is None else When.read(at),
        basis="ZFA-10" if at else "",
        visit=None if visit is None else Identifier(value=visit),
        **whose,
    )


def adt(
    *statements: Statement,
    patient: tuple[PatientId, ...] = (ALICE,),
    links: bool = True,
    problems: tuple[Problem, ...] = (),
    stay: Stay | None = None,
) -> PatientEvent:
    """An ADT with the identifiers that may be used, what it states, and what it says of a visit."""
    return PatientEvent(
        trigger="A01",
        identifiers=patient,
        links=links,
        identity=PatientIdentity(identifiers=patient),
        statements=statements,
        stay=stay,
        problems=problems,
    )


def visit(state: StayState, at: str | None = "20260310", number: str = "V1", establishment: str = H1) -> Stay:
    """What an event says of a visit."""
    stated_at = None if at is None else When.read(at)
    return Stay(establishment=establishment, visit=Identifier(value=number), state=state, stated_at=stated_at)


def opening(*patient: PatientId) -> RecordOpening:
    """The opening of a record."""
    consent = Consent(collected_by="desk", collected_at=START.isoformat(), place="accueil")
    return RecordOpening(identifiers=patient or (ALICE,), traits=Traits(sex="F"), channel="desk", consent=consent)


def closing(*patient: PatientId) -> RecordClosing:
    """The closing of a record."""
    return RecordClosing(identifiers=patient or (ALICE,), requested_by="patient")


# -- histories of three patients and two establishments

#: What each establishment calls a patient, beside the INS.
_PATIENTS = tuple((known, local(H1, f"1{n}"), local(H2, f"2{n}")) for n, known in enumerate((ALICE, BORIS, CARLA)))
_DATES = st.sampled_from((None, "20260309", "20260310", "202603101130", "20260311", "20620310"))


def identities() -> st.SearchStrategy[tuple[PatientId, ...]]:
    """One or several identifiers of one patient; now and then of two."""
    one = st.sampled_from(_PATIENTS).flatmap(
        lambda known: st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True).map(tuple)
    )
    mixed = st.lists(st.sampled_from(tuple(itertools.chain.from_iterable(_PATIENTS))), min_size=2, max_size=3, unique=True).map(
        tuple
    )
    return st.one_of(one, one, one, one, mixed)


def statements() -> st.SearchStrategy[Statement]:
    """An opposition or an allowance to feeding, of either establishment or of the patient."""
    scopes = st.sampled_from(
        (
            (Scope.ALL, None),
            (Scope.ESTABLISHMENT, H1),
            (Scope.ESTABLISHMENT, H2),
            (Scope.CLASS, "60"),
            (Scope.TYPE, "51969-4"),
            (Scope.SOURCE_KIND, "hospital"),
            (Scope.PROFESSIONAL, "801234567897"),
        )
    )
    of_establishment = st.builds(stated, st.sampled_from(Position), st.sampled_from((H1, H2)), at=_DATES)
    of_patient = st.builds(
        lambda position, at, scope: stated(position, None, at=at, scope=scope[0], value=scope[1]),
        st.sampled_from(Position),
        _DATES,
        scopes,
    )
    return st.one_of(of_establishment, of_establishment, of_patient)


def record_events() -> st.SearchStrategy[RecordEvent]:
    """An ADT with up to two statements, an opening, seldom a closing."""
    adts = st.builds(
        lambda said, who, links: adt(*said, patient=who, links=links),
        st.lists(statements(), max_size=2),
        identities(),
        st.booleans(),
    )
    first = st.sampled_from([known[0] for known in _PATIENTS])
    return st.one_of(adts, adts, first.map(opening), first.map(opening), first.map(closing))


@st.composite
def deposits(draw: st.DrawFn, receipt: str) -> Deposit:
    """A deposit of few ids, sets and versions, so that duplicates, replacements and deletions meet."""
    known = draw(st.sampled_from(_PATIENTS))
    number = draw(st.integers(1, 4))
    more = draw(st.booleans())
    names = [f"1.2.{number}", f"1.2.{number + 1}"][: 1 + more]
    contents = tuple((name, f"<doc>{name}/{draw(st.sampled_from('aaab'))}</doc>".encode()) for name in names)
    act = draw(st.sampled_from((Act.ADD, Act.ADD, Act.REPLACE, Act.DELETE)))
    made = deposit(
        receipt,
        START,
        patient=(known[0], *draw(st.lists(st.sampled_from(known[1:]), max_size=1))),
        establishments=draw(st.sampled_from(((H1,), (H1,), (H2,), (H1, H2)))),
        act=act,
        documents=contents,
        set_id=draw(st.sampled_from((None, "9.9"))) if len(names) == 1 else None,
        version=draw(st.integers(1, 3)),
        replaces=(f"1.2.{draw(st.integers(1, 4))}",) if act is Act.REPLACE else (),
        type_code=draw(st.sampled_from(("11502-2", "51969-4"))),
        class_code=draw(st.sampled_from((None, "60"))),
        message_id=draw(st.sampled_from(("015", None))),
    )
    flags = Flags(masque_ps=draw(st.sampled_from((False, False, False, True))))
    return msgspec.structs.replace(made, submission=msgspec.structs.replace(made.submission, flags=flags))
