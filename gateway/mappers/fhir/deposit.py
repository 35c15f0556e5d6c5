"""
Documents that a DocumentReference describes: what ITI-65 and ITI-105 have in common, from its checks to the submission.

The entry is the one that the CDA gives of itself, so that a document is the same through whichever door it comes (D-6); where it
says nothing, the DocumentReference adds. Order of the checks: as over HL7v2.

Source: PDSm 3.1; IHE MHD 4.2; D-4, D-6, D-19.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.mappers.cda.read import CdaReading
from gateway.mappers.common import carrier, checks, establishments, flags
from gateway.mappers.common.authorities import canonical
from gateway.mappers.common.carrier import Carried, Decoded
from gateway.mappers.common.findings import Findings
from gateway.mappers.common.flags import FlagsReading
from gateway.mappers.common.reading import Read, rejected
from gateway.mappers.fhir import content, document_bundle, labels, relation
from gateway.mappers.fhir.content import Held
from gateway.mappers.fhir.json import Loaded
from gateway.mappers.fhir.people import People
from gateway.mappers.fhir.references import References
from gateway.mappers.fhir.relation import Target
from gateway.mappers.fhir.subject import Subjects
from gateway.mappers.fhir.values import concept, identifier, same_id, unique_id, when
from gateway.mappers.fhir.walk import Node
from gateway.model.code import Code
from gateway.model.document import Author, Document, DocumentEntry, Organisation
from gateway.model.patient import PatientIdentity
from gateway.model.place import Place
from gateway.model.professional import professional_key
from gateway.model.source import Directory, Grant, Source
from gateway.model.submission import Act, Submission
from gateway.model.when import When
from gateway.terminology import class_of


@dataclass(slots=True)
class Item:
    """
    One document of the request.

    Attributes:
        index: From 0, in the order of the DocumentReferences.
        reference: Its DocumentReference.
        held: Its bytes; None if there are none.
        cda: What it says; None if it could not be read.
        targets: What relatesTo says that it replaces.
        replaces: uniqueIds of the documents that it replaces, as relatesTo and CDA say together.
        levels: Confidentiality that securityLabel gives (N, R, V).
        bundle: The document itself, where it is a FHIR document.
        around: Other resources that carry it, and whose labels are its own: the transaction, its SubmissionSet, the Binary.
    """

    index: int
    reference: Node
    held: Held | None = None
    cda: CdaReading | None = None
    targets: list[Target] = field(default_factory=list)
    replaces: tuple[str, ...] = ()
    levels: tuple[Code, ...] = ()
    bundle: Node | None = None
    around: tuple[Node, ...] = ()

    @property
    def attachment(self) -> Node | None:
        """The attachment of its one content."""
        return self.reference.one("content", "attachment")

    @property
    def place(self) -> Place:
        """Where its bytes stand, else the DocumentReference."""
        return self.reference.place() if self.held is None else self.held.place

    @property
    def unique_id(self) -> str | None:
        """The uniqueId: of its CDA, else masterIdentifier."""
        if self.cda is not None:
            return self.cda.entry.unique_id
        known = self.reference.one("masterIdentifier")
        return None if known is None else unique_id(known.text("system"), known.text("value"))


@dataclass(frozen=True, slots=True)
class Sent:
    """
    What is said of the documents together.

    Attributes:
        sender: Who sends them.
        sender_at: Where that stands.
        content_type: contentTypeCode of the set.
        date: When it was sent.
        subject_at: Where a subject stands, or should.
        places: Of the fields of the submission.
        beside: The organisation of the sender that stands beside the one of their role.
    """

    sender: Author | None
    sender_at: Place
    content_type: Code | None
    date: When | None
    subject_at: Place
    places: Mapping[str, Place]
    beside: Organisation | None = None


class Request:
    """A request to deposit: the validated body, who sends it, and what was found of it so far."""

    def __init__(  # noqa: PLR0917 - what a door knows
        self, loaded: Loaded, root: Node, source: Source, directory: Directory, environment: str, findings: Findings
    ) -> None:
        """Begin to read it."""
        self.loaded = loaded
        self.root = root
        self.source = source
        self.directory = directory
        self.environment = environment
        self.findings = findings
        self.references = References(root)
        self.people = People(self.references)
        self.subjects = Subjects(self.references, source, directory, findings)

    @property
    def may_deposit(self) -> bool:
        """Whether the source may deposit at all (SOURCE_NOT_ALLOWED)."""
        allowed = Grant.DEPOSIT in self.source.grants
        if not allowed:
            self.findings.add("SOURCE_NOT_ALLOWED", self.root.place(), "deposit")
        return allowed

    def rejected(self, items: Sequence[Item] = (), act: Act | None = None) -> Read:
        """Return the rejection."""
        ids = dict.fromkeys(known for item in items if (known := item.unique_id) is not None)
        return rejected(
            self.findings,
            patient=self.subjects.shown,
            document_ids=tuple(ids),
            act=None if act is None else act.value,
        )

    def check_reference(self, item: Item) -> None:
        """Check a DocumentReference before its document is read: what its profiles ask for, and forbid."""
        reference, findings, index = item.reference, self.findings, item.index
        if reference.text("status") != "current":
            findings.add("FHIR_INVARIANT", reference.place("status"), "status: a new document is current", document=index)
        if reference.has("docStatus"):
            findings.add("FHIR_INVARIANT", reference.place("docStatus"), "docStatus", document=index)
        if item.unique_id is None:
            findings.add("FHIR_REQUIRED", reference.place("masterIdentifier"), "masterIdentifier", document=index)
        contents = reference.all("content")
        if len(contents) > 1:
            findings.add("FHIR_INVARIANT", contents[1].place(), "one content for each DocumentReference", document=index)
        for name in ("author", "authenticator", "custodian"):
            for each in reference.all(name):
                found = self.references.resolve(each, reference)
                if found.failed:
                    findings.add("FHIR_REFERENCE", each.place("reference"), found.failed, document=index)
        item.targets = relation.targets(reference, index, findings)
        self.subjects.add(reference.one("subject"), reference, "subject")
        self.subjects.view(reference.one("context", "sourcePatientInfo"), reference)

    def read_document(self, item: Item) -> None:
        """Read the CDA of an item whose bytes are there, and compare it with its DocumentReference."""
        attachment = item.attachment
        if attachment is None or item.held is None:
            return
        if item.bundle is None:
            item.cda = content.read(attachment, item.held, item.index, self.findings)
        else:
            item.cda = self._published(item, item.bundle, item.held)
        if item.cda is not None:
            self._compare(item, item.cda.entry)

    def _published(self, item: Item, bundle: Node, held: Held) -> CdaReading | None:
        """Read a FHIR document (MHD, FHIR Document Publish); its own labels may not say more than its DocumentReference's."""
        found = document_bundle.header(bundle, held.blob.content, item.index, self.source, self.directory, findings=self.findings)
        if found is None:
            return None
        flagged, _ = labels.read(item.reference, item.index, Findings(), item.around)
        for name, place in found.flagged.places.items():
            if name not in flagged.places:
                self.findings.add("FLAGS_FORBIDDEN", place, "meta.security against securityLabel", document=item.index)
        return found.reading

    def _compare(self, item: Item, entry: DocumentEntry) -> None:
        reference, findings, index = item.reference, self.findings, item.index
        known = reference.one("masterIdentifier")
        named = None if known is None else unique_id(known.text("system"), known.text("value"))
        if known is not None and named is not None and not same_id(named, entry.unique_id):
            findings.add("DOCUMENT_ID_DIFFERS", known.place("value"), document=index)
        kind = concept(reference.one("type"))
        codings = [found for each in reference.all("type") for one in each.all("coding") if (found := _code(one)) is not None]
        if kind is not None and (entry.type_code.system, entry.type_code.code) not in codings:
            findings.warn("TYPE_DIFFERS", reference.place("type", "coding[0]", "code"), document=index)
        wanted = class_of(entry.type_code)
        category = concept(reference.one("category"))
        if wanted is not None and category is not None and category.code != wanted.code:
            findings.warn("CATEGORY_DIFFERS", reference.place("category[0]", "coding[0]", "code"), document=index)

    def finish(self, items: Sequence[Item], act: Act | None, sent: Sent) -> Read:
        """
        Check what the shared record asks for, and return the submission, or the rejection.

        Args:
            items: The documents, each read as far as it could be.
            act: What is asked for; None: it is not said in one voice, which was told.
            sent: What is said of them together.
        """
        findings = self.findings
        readings = []
        for item in items:
            flagged, item.levels = labels.read(item.reference, item.index, findings, item.around)
            readings.append(flagged)
        together = labels.together(readings, findings)
        self._ids_and_relations(items, act)
        identity = self._shareable(items, act, together, sent)
        if findings.errors or act is None:
            return self.rejected(items, act)
        return self._submission(items, act, together, sent, identity)

    def _ids_and_relations(self, items: Sequence[Item], act: Act | None) -> None:
        seen: set[str] = set()
        for item in items:
            if item.cda is None:
                continue
            entry = item.cda.entry
            if entry.unique_id in seen:
                self.findings.add("CARDINALITY", item.place, "two documents with one id", document=item.index)
            seen.add(entry.unique_id)
            if act is not None:
                item.replaces = relation.replaced(item.targets, entry, act, item.index, self.findings, at=item.place)

    def _shareable(self, items: Sequence[Item], act: Act | None, flagged: FlagsReading, sent: Sent) -> PatientIdentity:
        """What the shared record asks beyond a well-formed request: sender, identity, types, labels that may stand together."""
        findings = self.findings
        for item in items:
            if item.cda is not None:
                place = item.reference.place("type", "coding[0]", "code")
                checks.type_granted(item.cda.entry.type_code, place, self.source, item.index, findings, act=act)
        organisation = None if sent.sender is None else sent.sender.organisation
        if organisation is not None:
            keys = establishments.keys_of(organisation, self.directory)
            if any(self.directory.establishment(key) for key in keys if key != self.source.establishment):
                findings.warn("SENDER_DIFFERS", sent.sender_at, "source")
        readable = [(item.index, item.cda) for item in items if item.cda is not None]
        identity = self.subjects.check(readable, sent.subject_at, self.environment)
        for index, cda in readable:
            checks.type_taken(
                cda.entry.type_code, items[index].reference.place("type", "coding[0]", "code"), act, index, findings
            )
        flags.contradictions(flagged, act, findings)
        for index, cda in readable:
            item = items[index]
            place = cda.entry.places.get("confidentiality_codes[0]") or item.place
            checks.restricted(cda.entry.confidentiality_codes, place, act, index, findings)
            if not any(code.code in {"R", "V"} for code in cda.entry.confidentiality_codes):
                checks.restricted(item.levels, item.reference.place("securityLabel"), act, index, findings)
        born = None if identity.traits.birth_date is None else identity.traits.birth_date.start
        flags.unusual(flagged, born, None if sent.date is None else sent.date.start, findings)
        return identity

    def _submission(self, items: Sequence[Item], act: Act, flagged: FlagsReading, sent: Sent, identity: PatientIdentity) -> Read:
        held = sorted(((item, item.held) for item in items if item.held is not None), key=lambda one: _start(one[1]))
        parts, carriers = carrier.cut(self.loaded.payload, [_carried(one) for _, one in held])
        numbers = {item.index: number for number, (item, _) in enumerate(held, 1)}
        documents = tuple(
            Document(
                entry=self._entry(item, item.cda, flagged),
                patients=tuple(canonical(known, self.source, self.directory) for known in item.cda.patients),
                part=numbers[item.index],
            )
            for item in items
            if item.cda is not None
        )
        senders = () if sent.sender is None else (sent.sender,)
        custodians = [one.entry.custodian for one in documents]
        # Whoever keeps the document, as its DocumentReference says, is tested beside the custodian of the CDA (D-1).
        keepers = (self.people.organisation(item.reference.one("custodian"), item.reference) for item in items)
        custodians += [keeper for keeper in (sent.beside, *keepers) if keeper is not None]
        named = establishments.named(self.source, senders, custodians, self.directory)
        people = [sent.sender.person] if sent.sender is not None and sent.sender.person is not None else []
        numbers_of = (professional_key(known.value) for person in people for known in person.ids)
        problems = self.findings.deciding
        submission = Submission(
            act=act,
            patient=identity,
            documents=documents,
            flags=flagged.flags,
            sender=sent.sender,
            establishments=named,
            formerly=establishments.formerly(named, self.directory),
            source_kinds=self.directory.kinds(self.source),
            professionals=tuple(dict.fromkeys(key for key in numbers_of if key is not None)),
            content_type=sent.content_type,
            problems=problems,
            carriers=carriers,
            places={
                **{f"flags.{name.lower()}": place for name, place in flagged.places.items()},
                **{f"documents[{item.index}]": item.place for item in items},
                **sent.places,
            },
        )
        return Read(submission, parts, problems)

    def _entry(self, item: Item, cda: CdaReading, flagged: FlagsReading) -> DocumentEntry:
        """Return the entry of the CDA, with what the DocumentReference adds where it says nothing."""
        entry = cda.entry
        codes = entry.confidentiality_codes + checks.confidentiality(flagged.flags)
        added, places = self._added(item.reference)
        silent = {name: value for name, value in added.items() if not getattr(entry, name) and value}
        return msgspec.structs.replace(
            entry,
            confidentiality_codes=codes,
            replaces=item.replaces,
            places={**entry.places, **{name: places[name] for name in silent}},
            **silent,
        )

    def _added(self, reference: Node) -> tuple[dict[str, Any], dict[str, Place]]:
        """Return what a DocumentReference says that a CDA may leave out, by field of the entry, and where."""
        attachment = reference.one("content", "attachment") or Node({}, reference.place("content[0]", "attachment").path)
        context = reference.one("context") or Node({}, reference.place("context").path)
        period = context.one("period") or Node({}, context.place("period").path)
        related = [found for each in context.all("related") if (found := identifier(each.one("identifier"))) is not None]
        events = [event for each in context.all("event") if (event := concept(each)) is not None]
        rows: tuple[tuple[str, Any, Place], ...] = (
            ("title", attachment.text("title"), attachment.place("title")),
            ("language", attachment.text("language"), attachment.place("language")),
            (
                "legal_authenticator",
                self.people.author(reference.one("authenticator"), reference),
                reference.place("authenticator"),
            ),
            ("event_codes", tuple(events), context.place("event")),
            ("service_start", when(period.text("start")), period.place("start")),
            ("service_stop", when(period.text("end")), period.place("end")),
            ("practice_setting", concept(context.one("practiceSetting")), context.place("practiceSetting")),
            ("healthcare_facility_type", concept(context.one("facilityType")), context.place("facilityType")),
            ("reference_ids", tuple(related), context.place("related")),
        )
        return {name: value for name, value, _ in rows}, {name: place for name, _, place in rows}


def _code(coding: Node) -> tuple[str | None, str] | None:
    found = concept(Node({"coding": [coding.value]}, coding.path))
    return None if found is None else (found.system, found.code)


def _start(held: Held) -> int:
    carried = held.blob.carried
    return 1 << 62 if carried is None else carried.start


def _carried(held: Held) -> Carried:
    """Return the span of a document; one that is not found in the body character by character stays in it."""
    return held.blob.carried or Carried(Decoded(held.blob.content, None), 0, 0)
