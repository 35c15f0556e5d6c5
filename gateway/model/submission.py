"""What travels to the record: the submission set, and the bytes it came as."""

import enum
from collections.abc import Mapping

import msgspec

from gateway.model.base import Model
from gateway.model.code import Code, Identifier
from gateway.model.document import Author, Document
from gateway.model.patient import PatientId, PatientIdentity
from gateway.model.place import Place
from gateway.model.problem import Problem
from gateway.model.source import SourceKind


class Act(enum.StrEnum):
    """What a submission asks for. Source: ANS Trans. CDA en HL7v2 2.1 (ORC-1 NW, RO, CA)."""

    ADD = "add"
    REPLACE = "replace"
    DELETE = "delete"


class Flags(Model, frozen=True, kw_only=True):
    """The MetaDMPMSS flags of the message; each applies to all its documents. Source: volet 2.1, meta-dmp-mss."""

    masque_ps: bool = False
    invisible_patient: bool = False
    invisible_rep_legaux: bool = False
    connexion_secrete: bool = False
    modif_conf_code: bool = False
    destdmp: bool = False
    destmssanteps: bool = False
    destmssantepat: bool = False
    ack_reception: bool = False
    ack_lecture_mss: bool = False

    @property
    def visibility(self) -> tuple[bool, bool, bool]:
        """The three that change who sees a document: part of what makes two deposits the same (D-6)."""
        return (self.masque_ps, self.invisible_patient, self.invisible_rep_legaux)


class Carrier(Model, frozen=True, kw_only=True):
    """A span of base64 in the payload whose decoded bytes travel as a part of their own (D-11)."""

    #: Index of the part with the decoded bytes.
    part: int
    #: Where the base64 stood in the payload as received.
    start: int
    end: int
    #: How many `=` ended it; other deviations from canonical base64 keep the text in the payload instead.
    padding: int


class Submission(Model, frozen=True, kw_only=True):
    """One patient, one sender, one act, 1…n documents: settled whole (lot de soumission)."""

    act: Act
    patient: PatientIdentity
    documents: tuple[Document, ...]
    flags: Flags = Flags()
    #: PRT SB: who sends, which is not who wrote.
    sender: Author | None = None
    #: Every establishment named by the source, PRT-SB or a custodian; the depositing source's own comes first (D-1).
    establishments: tuple[str, ...]
    #: Other keys under which oppositions to these may have been kept, when the configuration was another one (O-10).
    formerly: tuple[str, ...] = ()
    #: Every kind that the depositing source is of, its own before its establishment's (R-14).
    source_kinds: tuple[SourceKind, ...] = ()
    #: The number of every sender (PRT SB) who is a person, as oppositions are tested on them.
    professionals: tuple[str, ...] = ()
    #: contentTypeCode of the submission set, from PV1-2 (JDV_J59).
    content_type: Code | None = None
    #: PV1-19.
    visit: Identifier | None = None
    #: Warnings met while reading.
    problems: tuple[Problem, ...] = ()
    carriers: tuple[Carrier, ...] = ()
    places: Mapping[str, Place] = {}

    @property
    def identifiers(self) -> tuple[PatientId, ...]:
        """Every identifier of PID-3 and of every recordTarget, each once: all are tested for oppositions (D-1)."""
        identities = (self.patient, *(patient for document in self.documents for patient in document.patients))
        return tuple({known.key: known for identity in identities for known in identity.identifiers}.values())


class Reception(Model, frozen=True, kw_only=True):
    """The facts of receiving a message: made at the door, travelling in the authenticated header."""

    #: Receipt id: carries time, source and a MAC (D-16).
    receipt: str
    #: Instant of reception, ISO 8601, UTC, microseconds.
    received_at: str
    door: str
    source: str
    establishment: str
    #: MSH-3, MSH-4 and MSH-10.
    application: str
    facility: str
    message_id: str
    #: Message type and trigger (``MDM^T02``).
    message_type: str
    #: SHA-256 of the message without MSH-7, hexadecimal (D-6).
    message_digest: str


class Deposit(msgspec.Struct, frozen=True, kw_only=True):
    """A submission on its way: header values and the raw bytes beside them."""

    reception: Reception
    submission: Submission
    #: parts[0] is the payload without the spans of `submission.carriers`; then the documents.
    parts: tuple[bytes, ...]
