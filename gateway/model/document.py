"""The document entry (XDS metadata) and the people and organisations in it."""

from collections.abc import Mapping

from gateway.model.base import Model
from gateway.model.code import Code, Identifier
from gateway.model.patient import PatientIdentity
from gateway.model.place import Place
from gateway.model.professional import professional_key
from gateway.model.when import When


class Organisation(Model, frozen=True, kw_only=True):
    """A structure: its national id (Struct_IdNat: ``1`` + FINESS…) and its name."""

    id: Identifier | None = None
    #: Whatever else is written as its number: oppositions are tested for each establishment that any of them names (D-1).
    other_ids: tuple[Identifier, ...] = ()
    name: str | None = None

    @property
    def ids(self) -> tuple[Identifier, ...]:
        """Every number of the structure, its own first."""
        return self.other_ids if self.id is None else (self.id, *self.other_ids)


class Person(Model, frozen=True, kw_only=True):
    """A professional, patient or device that acts on a document."""

    id: Identifier | None = None
    #: Whatever else is written as their number: an opposition to a professional is tested on each (R-14).
    other_ids: tuple[Identifier, ...] = ()
    family: str | None = None
    given: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    #: Name of the software for a device.
    device: str | None = None

    @property
    def ids(self) -> tuple[Identifier, ...]:
        """Every number of the person, the first one first."""
        return self.other_ids if self.id is None else (self.id, *self.other_ids)


class Author(Model, frozen=True, kw_only=True):
    """An author, legal authenticator or sender: who, in what quality, for which organisation, when."""

    person: Person | None = None
    organisation: Organisation | None = None
    #: `assignedAuthor/code`: profession and specialty.
    specialty: Code | None = None
    #: `author/functionCode`.
    role: Code | None = None
    time: When | None = None


class DocumentEntry(Model, frozen=True, kw_only=True):
    """
    The metadata of one document (XDSDocumentEntry), read from its CDA header.

    Source: CI-SIS, CDA R2; ANS Trans. CDA en HL7v2 2.1, mapping.
    """

    #: uniqueId: CDA id, ``root`` or ``root^extension``.
    unique_id: str
    set_id: str | None = None
    version: int | None = None
    type_code: Code
    class_code: Code | None = None
    format_code: Code | None = None
    title: str
    language: str
    creation_time: When
    #: First the CDA's own, then the transport's (MASQUE_PS, INVISIBLE_PATIENT, INVISIBLE_REPRESENTANTS_LEGAUX).
    confidentiality_codes: tuple[Code, ...]
    #: `text/xml`, or `application/xslt+xml` for a self-rendering document.
    mime_type: str
    #: Bytes of the document as received.
    size: int
    #: SHA-1 of these bytes, hexadecimal: what XDS asks for.
    hash: str
    #: SHA-256 of these bytes, hexadecimal: what duplicates are told apart by (D-6).
    digest: str
    authors: tuple[Author, ...]
    legal_authenticator: Author | None = None
    custodian: Organisation
    #: serviceEvent codes and their translations, accession numbers excluded.
    event_codes: tuple[Code, ...] = ()
    service_start: When | None = None
    service_stop: When | None = None
    practice_setting: Code | None = None
    healthcare_facility_type: Code | None = None
    #: Orders and accession numbers.
    reference_ids: tuple[Identifier, ...] = ()
    source_patient_id: Identifier | None = None
    #: uniqueIds of the documents that this one replaces (relatedDocument RPLC).
    replaces: tuple[str, ...] = ()
    template_ids: tuple[str, ...] = ()
    #: CDA level: 1 (a file in nonXMLBody), 2 (narrative), 3 (coded entries).
    level: int
    #: Level 1: media type of the enclosed file.
    content_media_type: str | None = None
    #: Place of each field in the document: ``title``, ``authors[0].person.id``…
    places: Mapping[str, Place] = {}


class Entry(Model, frozen=True, kw_only=True):
    """One structured fact read out of a document: a result, a treatment, an act (R-21, D-14)."""

    #: What it is: `laboratory-result`, `treatment-delivered`…
    kind: str
    #: What was read, as JSON, in the shape of its kind.
    content: str
    #: Where it stands in the document.
    place: Place | None = None


class Document(Model, frozen=True, kw_only=True):
    """One document of a submission: its entry, its patients, what was read out of it, and where its bytes are."""

    entry: DocumentEntry
    #: One identity per recordTarget.
    patients: tuple[PatientIdentity, ...]
    #: Index of its bytes among the parts of the deposit.
    part: int
    #: In the order of the document.
    entries: tuple[Entry, ...] = ()
    #: Version of the mapping that read the entries: they can be read again from the stored bytes (D-14).
    mapper_version: int = 1

    @property
    def professionals(self) -> tuple[str, ...]:
        """The number of each author and of the legal authenticator, as oppositions are tested on them (R-14)."""
        signed = (*self.entry.authors, *((self.entry.legal_authenticator,) if self.entry.legal_authenticator else ()))
        numbers = (number for one in signed if one.person is not None for number in one.person.ids)
        keys = (professional_key(number.value) for number in numbers)
        return tuple(dict.fromkeys(key for key in keys if key is not None))

    @property
    def by_patient(self) -> bool:
        """Whether the patient is its only author: each is known by the INS of a recordTarget (O-14)."""
        whose = {known.key for patient in self.patients for known in patient.ins}
        return bool(self.entry.authors) and all(
            author.person is not None
            and bool(author.person.ids)
            and all((number.authority, number.value) in whose for number in author.person.ids)
            for author in self.entry.authors
        )
