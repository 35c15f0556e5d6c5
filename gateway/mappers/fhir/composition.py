"""
The header of a FHIR document: its Composition as a document entry.

Source: HL7 FHIR R4, documents, composition; IPS 2.0; ANS, structure of French FHIR documents (draft).
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.mappers.common.authorities import distinct
from gateway.mappers.common.findings import Findings
from gateway.mappers.fhir import identity
from gateway.mappers.fhir.people import ORGANISATIONS, People
from gateway.mappers.fhir.references import References
from gateway.mappers.fhir.values import code, is_uuid, unique_id, when
from gateway.mappers.fhir.walk import Node
from gateway.model.code import Code, Identifier
from gateway.model.document import Author, DocumentEntry, Organisation
from gateway.model.patient import PatientIdentity
from gateway.model.place import Place
from gateway.model.source import Directory, Source, finess_key
from gateway.model.when import When
from gateway.terminology import class_of, format_of

MIME_TYPE: Final = "application/fhir+json"
CONFIDENTIALITY: Final = "2.16.840.1.113883.5.25"

_VERSION: Final = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Composition.version"
_NORMAL: Final = "N"
_LANGUAGE: Final = "fr-FR"
_REPLACES: Final = "replaces"


@dataclass(frozen=True, slots=True)
class Header:
    """
    What a FHIR document says of itself.

    Attributes:
        entry: Its document entry.
        patient: Whose it is.
    """

    entry: DocumentEntry
    patient: PatientIdentity


@dataclass(frozen=True, slots=True)
class Reader:
    """
    Reads the header of one document.

    Attributes:
        bundle: The document.
        composition: Its first entry's resource.
        references: Of the document.
        source: Who sends.
        directory: All establishments.
        findings: Takes FHIR_REQUIRED, FHIR_VALUE, FHIR_REFERENCE, and FHIR_UNUSUAL, CATEGORY_DIFFERS as warnings.
        index: Of the document in its submission.
    """

    bundle: Node
    composition: Node
    references: References
    source: Source
    directory: Directory
    findings: Findings
    index: int = 0

    def read(self, content: bytes, levels: tuple[Code, ...]) -> Header | None:
        """
        Read the header.

        Args:
            content: The bytes of the document.
            levels: Its confidentiality, as far as labels tell it.

        Returns:
            The header; None, with an error, where something is missing without which there is none.
        """
        composition, places = self.composition, dict[str, Place]()
        known = self._unique_id()
        type_code, created = self._type(), when(composition.text("date"))
        if created is None:
            self._missing(composition, "date")
        title = composition.text("title")
        if title is None:
            self._missing(composition, "title")
        patient = self._patient()
        authors, legal = self._authors(), self._legal_authenticator()
        replaces = self._replaces()
        if known is None or type_code is None or created is None or title is None or patient is None:
            return None
        places |= {name: composition.place(name) for name in ("title", "language", "confidentiality")}
        places |= {"unique_id": self.bundle.place("identifier", "value"), "type_code": composition.place("type")}
        places |= {"creation_time": composition.place("date"), "confidentiality_codes[0]": composition.place("confidentiality")}
        media_type = self._enclosed()
        start, stop = self._period()
        entry = DocumentEntry(
            unique_id=known,
            set_id=self._set_id(),
            version=self._version(),
            type_code=type_code,
            class_code=class_of(type_code),
            format_code=format_of((), media_type),
            title=title,
            language=self._language(),
            creation_time=created,
            confidentiality_codes=self._confidentiality(levels),
            mime_type=MIME_TYPE,
            size=len(content),
            hash=hashlib.sha1(content, usedforsecurity=False).hexdigest(),
            digest=hashlib.sha256(content).hexdigest(),
            authors=authors,
            legal_authenticator=legal,
            custodian=self._custodian(),
            event_codes=self._event_codes(),
            service_start=start,
            service_stop=stop,
            source_patient_id=_local(patient),
            replaces=replaces,
            level=self._level(media_type),
            content_media_type=media_type,
            places=places,
        )
        return Header(entry, patient)

    def _missing(self, node: Node, name: str) -> None:
        self.findings.add("FHIR_REQUIRED", node.place(name), name, document=self.index)

    def _warn(self, place: Place, detail: str) -> None:
        self.findings.warn("FHIR_UNUSUAL", place, detail, document=self.index)

    def _unique_id(self) -> str | None:
        """Return the id of this version of the document, as a CDA would give it: a UUID in lower case."""
        known = self.bundle.one("identifier")
        system = None if known is None else known.text("system")
        value = None if known is None else known.text("value")
        if known is None or system is None or value is None:
            self._missing(self.bundle if known is None else known, "identifier" if known is None else "system, value")
            return None
        found = unique_id(system, value)
        return found.lower() if is_uuid(found) and found is not None else found

    def _set_id(self) -> str | None:
        known = self.composition.one("identifier")
        found = None if known is None else unique_id(known.text("system"), known.text("value"))
        return found.lower() if found is not None and is_uuid(found) else found

    def _version(self) -> int | None:
        extension = self.composition.extension(_VERSION)
        written = None if extension is None else extension.text("valueString")
        if extension is None or written is None:
            return None
        if not (written.isascii() and written.isdigit() and len(written) <= 9):
            self.findings.add("FHIR_VALUE", extension.place("valueString"), "version: digits only", document=self.index)
            return None
        return int(written)

    def _type(self) -> Code | None:
        """Return the type: of several codings the first one that the record takes."""
        concept = self.composition.one("type")
        codes = [known for coding in (concept.all("coding") if concept else ()) if (known := code(coding)) is not None]
        if not codes:
            self._missing(self.composition, "type.coding")
            return None
        found = next((known for known in codes if class_of(known) is not None), codes[0])
        said = {k.code for each in self.composition.all("category") for c in each.all("coding") if (k := code(c)) is not None}
        derived = class_of(found)
        if derived is not None and said and derived.code not in said:
            self.findings.warn("CATEGORY_DIFFERS", self.composition.place("category"), document=self.index)
        return found

    def _language(self) -> str:
        written = self.composition.text("language") or self.bundle.text("language")
        if written is None:
            self._warn(self.composition.place("language"), f"no language: {_LANGUAGE} was assumed")
        return written or _LANGUAGE

    def _confidentiality(self, levels: tuple[Code, ...]) -> tuple[Code, ...]:
        written = self.composition.text("confidentiality")
        if written is None and not levels:
            self._warn(self.composition.place("confidentiality"), f"no confidentiality: {_NORMAL} was assumed")
        own = () if written is None and levels else (Code(code=written or _NORMAL, system=CONFIDENTIALITY),)
        return tuple({known.code: known for known in (*own, *levels)}.values())

    def _patient(self) -> PatientIdentity | None:
        """Return whose document it is; where the subject leads nowhere it is told with the other references."""
        reference = self.composition.one("subject")
        if reference is None:
            self._missing(self.composition, "subject")
            return None
        found = self.references.resolve(reference, self.composition).node
        if found is None or found.type != "Patient":
            self.findings.add("FHIR_REFERENCE", reference.place(), "subject: no Patient of the document", document=self.index)
            return None
        claims = identity.of_patient(found, self.source, self.directory)
        return msgspec.structs.replace(claims.identity, identifiers=distinct((*claims.ins, *claims.local, *claims.perhaps)))

    def _authors(self) -> tuple[Author, ...]:
        people = People(self.references)
        found = (people.author(reference, self.composition) for reference in self.composition.all("author"))
        authors = tuple(author for author in found if author is not None)
        if not authors:
            self._missing(self.composition, "author")
        return authors

    def _legal_authenticator(self) -> Author | None:
        attester = next((each for each in self.composition.all("attester") if each.text("mode") == "legal"), None)
        author = None if attester is None else People(self.references).author(attester.one("party"), self.composition)
        if attester is None or author is None:
            return None
        return msgspec.structs.replace(author, time=when(attester.text("time")))

    def _custodian(self) -> Organisation:
        """Return who keeps it; where nobody is named, the establishment that deposits it."""
        found = People(self.references).organisation(self.composition.one("custodian"), self.composition)
        if found is not None:
            return found
        self._warn(self.composition.place("custodian"), "no custodian: the source's establishment was taken")
        return own_organisation(self.source, self.directory)

    def _event_codes(self) -> tuple[Code, ...]:
        events = self.composition.all("event")
        found = [code(coding) for event in events for concept in event.all("code") for coding in concept.all("coding")]
        return tuple(dict.fromkeys(known for known in found if known is not None))

    def _period(self) -> tuple[When | None, When | None]:
        """Return when the act began and ended: of the first event that says so."""
        period = next((found for event in self.composition.all("event") if (found := event.one("period")) is not None), None)
        return (None, None) if period is None else (when(period.text("start")), when(period.text("end")))

    def _replaces(self) -> tuple[str, ...]:
        found: list[str] = []
        for relation in self.composition.all("relatesTo"):
            if relation.text("code") != _REPLACES:
                self._warn(relation.place("code"), "this relation is not kept")
                continue
            known = relation.one("targetIdentifier") or relation.one("targetReference", "identifier")
            named = None if known is None else unique_id(known.text("system"), known.text("value"))
            if named is None:
                self.findings.add("FHIR_REFERENCE", relation.place(), "relatesTo: names no document", document=self.index)
            else:
                found.append(named.lower() if is_uuid(named) else named)
        return tuple(dict.fromkeys(found))

    def _entries(self) -> list[Node]:
        """Return what the sections refer to and hold in the document."""
        references = [each for node in self.composition.below() for each in node.all("entry") if node is not self.composition]
        found = (self.references.resolve(reference, self.composition).node for reference in references)
        return [node for node in found if node is not None]

    def _enclosed(self) -> str | None:
        """Return the media type of the file that a document of level 1 encloses: its only entry is a Binary."""
        entries = self._entries()
        return entries[0].text("contentType") if len(entries) == 1 and entries[0].type == "Binary" else None

    def _level(self, media_type: str | None) -> int:
        if media_type is not None:
            return 1
        return 3 if self._entries() else 2


def own_organisation(source: Source, directory: Directory) -> Organisation:
    """Return the establishment of a source, by the FINESS of the source's site or its own."""
    own = directory.establishment(source.establishment)
    number = finess_key(source.site or ("" if own is None else own.finess_ej))
    known = None if number is None else Identifier(value=f"1{number}", authority=ORGANISATIONS)
    return Organisation(id=known, name=None if own is None else own.name)


def _local(patient: PatientIdentity) -> Identifier | None:
    found = next((known for known in patient.identifiers if not known.is_ins), None)
    return None if found is None else Identifier(value=found.value, authority=found.authority or None)
