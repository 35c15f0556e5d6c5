"""What changes the record instead of feeding it."""

import enum
from collections.abc import Mapping

from gateway.model.base import Model
from gateway.model.code import Identifier
from gateway.model.patient import PatientId, PatientIdentity, Traits
from gateway.model.place import Place
from gateway.model.problem import Problem
from gateway.model.when import When


class Right(enum.StrEnum):
    """What a statement is about."""

    #: Feeding of the record: IO opposes, INO allows (ZFA-9).
    FEEDING = "feeding"
    #: Consultation by an establishment's team: INC opposes, IC consents (ZFA-11).
    CONSULTATION = "consultation"


class Position(enum.StrEnum):
    """What was stated."""

    OPPOSES = "opposes"
    ALLOWS = "allows"


class Side(enum.StrEnum):
    """Whose statement it is: the patient's (also through representative, MT or desk), or one establishment's."""

    PATIENT = "patient"
    ESTABLISHMENT = "establishment"


class Scope(enum.StrEnum):
    """What a statement binds, the widest first. Source: docs/rules.md, O-1."""

    #: Every source.
    ALL = "all"
    #: One kind of source (`scope_value` = a `SourceKind`): the insurer's history is that of `insurer`.
    SOURCE_KIND = "source_kind"
    #: One establishment, or one of its sites where it is told apart by site (`scope_value` = its key, O-10).
    ESTABLISHMENT = "establishment"
    #: One professional: as author, legal authenticator or sender (`scope_value` = the national number, `professional_key`).
    PROFESSIONAL = "professional"
    #: One class of documents (`scope_value` = XDS classCode).
    CLASS = "class"
    #: One type of documents (`scope_value` = XDS typeCode).
    TYPE = "type"


class StatedBy(enum.StrEnum):
    """Who made a statement. All but the establishment are of the patient's side (O-1)."""

    PATIENT = "patient"
    REPRESENTATIVE = "representative"
    #: The treating doctor, at the patient's request.
    MT = "mt"
    DESK = "desk"
    #: For its own deposits only (R-14).
    ESTABLISHMENT = "establishment"


class Statement(Model, frozen=True, kw_only=True):
    """One opposition or its lifting, as it was stated (R-13, R-14)."""

    right: Right
    position: Position
    side: Side
    #: Key of the establishment that collected it; for the patient's side the one that took it down, or `desk`.
    collected_by: str
    scope: Scope
    scope_value: str | None = None
    stated_by: StatedBy = StatedBy.PATIENT
    #: When it was stated; None: nothing usable was written, the reception counts.
    collected_at: When | None = None
    #: Where `collected_at` came from: `ZFA-10`, `EVN-2`, `MSH-7`, `command` (O-3).
    basis: str = ""
    #: Consultation: the visit it is about (O-16).
    visit: Identifier | None = None
    place: Place | None = None


class StayState(enum.StrEnum):
    """Where a visit is in its life."""

    OPEN = "open"
    ENDED = "ended"
    CANCELLED = "cancelled"


class Stay(Model, frozen=True, kw_only=True):
    """What an event says of a visit: admitted, discharged, or that one of these is cancelled (O-16)."""

    #: Key of the establishment.
    establishment: str
    #: PV1-19; no authority where it is the establishment's own.
    visit: Identifier
    state: StayState
    #: When it was recorded (EVN-2, else MSH-7); None: the reception counts. Not EVN-6: of a cancellation that is the time of what
    #: is cancelled.
    stated_at: When | None = None


class PatientEvent(Model, frozen=True, kw_only=True, tag="patient", tag_field="event"):
    """An ADT or a command: identifiers seen together, and statements."""

    #: HL7 trigger (``A01``) or command.
    trigger: str
    #: The identifiers that may be used, canonical, at least one (D-1).
    identifiers: tuple[PatientId, ...]
    #: Whether they are linked to one another (any ADT under VALI).
    links: bool
    identity: PatientIdentity
    statements: tuple[Statement, ...] = ()
    #: What the event says of a visit; None: nothing (O-16).
    stay: Stay | None = None
    #: Warnings for the answer: what was left out and why.
    problems: tuple[Problem, ...] = ()
    places: Mapping[str, Place] = {}

    @property
    def named(self) -> tuple[PatientId, ...]:
        """Every identifier whose patient the event may change: all are locked."""
        return self.identifiers


class IdentifierChange(Model, frozen=True, kw_only=True, tag="change", tag_field="event"):
    """
    An establishment says that identifiers of one patient were replaced, or takes back what it had said of an INS.

    Source: PAM France 2.11, A47; docs/rules.md.
    """

    trigger: str
    #: What the patient is known by from now on (PID-3), canonical; may be local only where the INS was taken back.
    identifiers: tuple[PatientId, ...]
    #: What no longer counts (MRG-1), canonical.
    former: tuple[PatientId, ...] = ()
    #: The INS was removed (`""` in PID-3), or the identity is no longer qualified (PID-32 without VALI).
    withdrawn: bool = False
    identity: PatientIdentity
    #: Kept under `identifiers`, as those of any other event.
    statements: tuple[Statement, ...] = ()
    problems: tuple[Problem, ...] = ()
    places: Mapping[str, Place] = {}

    @property
    def named(self) -> tuple[PatientId, ...]:
        """Every identifier whose patient the event may change: all are locked."""
        return (*self.identifiers, *self.former)


class FileMerge(Model, frozen=True, kw_only=True, tag="merge", tag_field="event"):
    """
    Two patient files are one person's: by a message (A40: local files), or signed by two persons of the identity watch.

    Source: PAM France 2.11, A40; docs/rules.md.
    """

    #: HL7 trigger or command.
    trigger: str
    #: Of the file that stays (PID-3), canonical.
    identifiers: tuple[PatientId, ...]
    #: Of the file that disappears (MRG-1), canonical.
    absorbed: tuple[PatientId, ...]
    identity: PatientIdentity = PatientIdentity()
    #: Identity watch: who signed; two different INS are merged by nothing else.
    signed_by: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    places: Mapping[str, Place] = {}

    @property
    def named(self) -> tuple[PatientId, ...]:
        """Every identifier whose patient the event may change: all are locked."""
        return (*self.identifiers, *self.absorbed)


class MergeUndo(Model, frozen=True, kw_only=True, tag="unmerge", tag_field="event"):
    """A merge turns out to be wrong: each side gets back what was its own, and every binding of both (identity watch)."""

    #: Of the file that stayed, canonical, where they are known; the merge alone tells both patients.
    identifiers: tuple[PatientId, ...] = ()
    #: Id of the merge: the receipt of its event.
    merge: str
    signed_by: tuple[str, ...]

    @property
    def named(self) -> tuple[PatientId, ...]:
        """Every identifier whose patient the event may change: all are locked."""
        return self.identifiers


class DocumentMove(Model, frozen=True, kw_only=True, tag="move", tag_field="event"):
    """A document that was stored under a wrong link goes to the record it belongs to (identity watch)."""

    #: Of the patient whose record it is in, canonical.
    identifiers: tuple[PatientId, ...]
    #: Of the patient whose it is, canonical.
    to: tuple[PatientId, ...]
    unique_id: str
    signed_by: tuple[str, ...]

    @property
    def named(self) -> tuple[PatientId, ...]:
        """Every identifier whose patient the event may change: all are locked."""
        return (*self.identifiers, *self.to)


class DocumentRelease(Model, frozen=True, kw_only=True, tag="release", tag_field="event"):
    """The patient releases a document that a late opposition withheld (O-7)."""

    identifiers: tuple[PatientId, ...]
    unique_id: str
    #: Who took the patient's wish down.
    released_by: str

    @property
    def named(self) -> tuple[PatientId, ...]:
        """Every identifier whose patient the event may change: all are locked."""
        return self.identifiers


class TaskEnding(Model, frozen=True, kw_only=True, tag="task", tag_field="event"):
    """A person has done what a task of the list asked for."""

    #: Its patient is known by the task alone.
    identifiers: tuple[PatientId, ...] = ()
    #: Number of the task.
    task: int
    done_by: str

    @property
    def named(self) -> tuple[PatientId, ...]:
        """Every identifier whose patient the event may change: all are locked."""
        return self.identifiers


class Consent(Model, frozen=True, kw_only=True):
    """The consent to opening: oral, recorded (R-01)."""

    collected_by: str
    collected_at: str
    place: str


class RecordOpening(Model, frozen=True, kw_only=True, tag="opening", tag_field="event"):
    """A record is opened, or reopened: by a verb, a door or an import, never by a deposit (D-18)."""

    identifiers: tuple[PatientId, ...]
    traits: Traits = Traits()
    #: `online`, `desk`, `pharmacist`, `professional`, `hospital`, `migration` (R-02).
    channel: str
    consent: Consent | None = None
    #: R-05: may the record be read in an emergency?
    emergency_access: bool | None = None
    #: Whether it opens a closed record again: an import does not, its patient closed it (R-08).
    reopens: bool = True

    @property
    def named(self) -> tuple[PatientId, ...]:
        """Every identifier whose patient the event may change: all are locked."""
        return self.identifiers


class RecordClosing(Model, frozen=True, kw_only=True, tag="closing", tag_field="event"):
    """A record is closed at the patient's demand (R-08)."""

    identifiers: tuple[PatientId, ...]
    requested_by: str

    @property
    def named(self) -> tuple[PatientId, ...]:
        """Every identifier whose patient the event may change: all are locked."""
        return self.identifiers


RecordEvent = (
    PatientEvent
    | IdentifierChange
    | FileMerge
    | MergeUndo
    | DocumentMove
    | DocumentRelease
    | TaskEnding
    | RecordOpening
    | RecordClosing
)
