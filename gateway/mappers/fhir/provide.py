"""
ITI-65, Provide Document Bundle: a transaction of one submission set, its documents and their bytes.

Source: IHE MHD 4.2, ITI-65; PDSm 3.1, TD2 and TD2.1; D-16.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.mappers.common.findings import Findings
from gateway.mappers.common.reading import Read
from gateway.mappers.fhir import relation
from gateway.mappers.fhir.composition import MIME_TYPE as FHIR_DOCUMENT
from gateway.mappers.fhir.content import Held
from gateway.mappers.fhir.deposit import Item, Request, Sent
from gateway.mappers.fhir.json import Blob, Loaded
from gateway.mappers.fhir.relation import Patches
from gateway.mappers.fhir.slices import resource_of
from gateway.mappers.fhir.validate import validate
from gateway.mappers.fhir.values import concept, when
from gateway.mappers.fhir.walk import Node
from gateway.model.code import Code
from gateway.model.place import Place
from gateway.model.source import Directory, Source
from gateway.model.submission import Act

_MHD: Final = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"
DESIGNATION: Final = f"{_MHD}ihe-designationType"
SOURCE_ID: Final = f"{_MHD}ihe-sourceId"
SOURCE_PATIENT: Final = f"{_MHD}ihe-sourcePatientId"

SUBMISSION_SET: Final = "submissionset"
FOLDER: Final = "folder"

#: What may be an entry, and how it is asked for. Source: MHD, provideBundle (closed slicing).
_SLICES: Final[Mapping[str, frozenset[str]]] = MappingProxyType({
    "List": frozenset({"POST", "PUT"}),
    "DocumentReference": frozenset({"POST"}),
    "Binary": frozenset({"POST"}),
    "Bundle": frozenset({"POST"}),
    "Patient": frozenset({"GET", "POST", "PUT"}),
    "Parameters": frozenset({"PATCH"}),
})  # fmt: skip

#: What a SubmissionSet has not (0..0), and what says another thing than "these documents".
_SET_FORBIDS: Final = ("encounter", "orderedBy", "emptyReason")
_ITEM_FORBIDS: Final = ("flag", "deleted", "date")


def read(loaded: Loaded, source: Source, directory: Directory, environment: str) -> Read:
    """
    Read a transaction.

    Args:
        loaded: The body as JSON.
        source: Who sends.
        directory: All establishments and their authorities.
        environment: `production` or `test`: which INS roots are taken.

    Returns:
        A submission and its parts, or a rejection; warnings in both.
    """
    findings = Findings()
    root = validate(loaded, findings)
    request = Request(loaded, root or Node({}, "Bundle"), source, directory, environment, findings)
    if root is None or not request.may_deposit:
        return request.rejected()
    if root.type != "Bundle" or root.text("type") != "transaction":
        name = "type" if root.type == "Bundle" else "resourceType"
        findings.add("FHIR_UNSUPPORTED", root.place(name), "a Bundle of type transaction belongs here")
        return request.rejected()
    return _Transaction(request).read()


class _Transaction:
    """One transaction: its entries by what they are."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._findings = request.findings
        self._sets: list[Node] = []
        self._folders: list[Node] = []
        self._references: list[Node] = []
        #: By path: what a DocumentReference may describe, a Binary or a FHIR document.
        self._binaries: dict[str, Node] = {}
        #: Those that a DocumentReference describes, by the same path.
        self._described: set[str] = set()
        #: Number of the entry of each, by the same path.
        self._places: dict[str, int] = {}
        self._patches = Patches(request.findings)

    def read(self) -> Read:
        request, findings = self._request, self._findings
        for number, entry in enumerate(request.root.all("entry")):
            self._entry(entry, number)
        if len(self._sets) != 1:
            place = self._sets[1].place() if self._sets else request.root.place("entry")
            findings.add("FHIR_INVARIANT", place, f"one SubmissionSet, not {len(self._sets)}")
        if not self._references:
            findings.add("FHIR_INVARIANT", request.root.place("entry"), "no DocumentReference")
        items = [Item(index, reference) for index, reference in enumerate(self._references)]
        for item in items:
            item.around = (request.root, *self._sets)
            request.check_reference(item)
            self._hold(item)
            self._asked(item)
        for path, binary in self._binaries.items():
            if path not in self._described:
                findings.add("FHIR_INVARIANT", binary.place(), f"no DocumentReference describes this {binary.type}")
        submission_set = self._sets[0] if len(self._sets) == 1 else None
        sent = self._sent(submission_set) if submission_set is not None else None
        act = relation.act_of(self._references) if items else Act.ADD
        if act is None:
            findings.add("ACT_INCOHERENT", request.root.place("entry"), "some documents replace, others are new")
        self._patches.check([(item.index, target) for item in items for target in item.targets])
        for item in items:
            request.read_document(item)
        if sent is None:
            return request.rejected(items, act)
        return request.finish(items, act, sent)

    def _entry(self, entry: Node, number: int) -> None:
        """Sort one entry by what it is; the slicing is closed."""
        resource, request = entry.one("resource"), entry.one("request")
        if resource is None:
            self._findings.add("FHIR_REQUIRED", entry.place("resource"), "resource")
            return
        if request is None:
            self._findings.add("FHIR_REQUIRED", entry.place("request"), "request")
        if resource.type not in _SLICES:
            self._findings.add("FHIR_UNSUPPORTED", resource.place("resourceType"), "no entry of ITI-65")
            return
        if request is not None:
            self._check_request(entry, request, resource.type)
        match resource.type:
            case "List":
                self._list(resource)
            case "DocumentReference":
                self._references.append(resource)
            case "Binary" | "Bundle":
                self._binaries[resource.path] = resource
                self._places[resource.path] = number
            case "Parameters":
                self._patches.add(entry, resource)
            case _:  # a Patient: read where a subject refers to it
                pass

    def _check_request(self, entry: Node, request: Node, kind: str) -> None:
        method, url = request.text("method"), (request.text("url") or "").lstrip("/")
        if method not in _SLICES[kind]:
            self._findings.add("FHIR_INVARIANT", request.place("method"), f"{kind}: {', '.join(sorted(_SLICES[kind]))}")
        wanted = "DocumentReference" if kind == "Parameters" else kind
        if url.partition("/")[0].partition("?")[0] != wanted:
            self._findings.add("FHIR_INVARIANT", request.place("url"), f"{kind}: {wanted}")
        if kind != "Parameters" and entry.text("fullUrl") is None:
            self._findings.warn("FHIR_UNUSUAL", entry.place("fullUrl"), "fullUrl: absent")
        for name in ("ifMatch", "ifNoneMatch", "ifModifiedSince", "ifNoneExist"):
            if request.has(name):
                self._findings.add("FHIR_UNSUPPORTED", request.place(name), name)

    def _list(self, resource: Node) -> None:
        coding = resource.one("code", "coding")
        code = None if coding is None else coding.text("code")
        if code == SUBMISSION_SET:
            self._sets.append(resource)
        elif code == FOLDER:
            self._folders.append(resource)
            self._findings.warn("FOLDER_IGNORED", resource.place("code"))
        else:
            self._findings.add("FHIR_CODE", resource.place("code"), "code: submissionset or folder")

    def _asked(self, item: Item) -> None:
        """Ask for what the comprehensive profile has beyond the simplified one."""
        if item.reference.one("type") is None:
            self._findings.add("FHIR_REQUIRED", item.reference.place("type"), "type", document=item.index)
        if not item.reference.all("author"):
            self._findings.warn("FHIR_UNUSUAL", item.reference.place("author"), "author: absent", document=item.index)
        attachment = item.attachment
        for name in ("size", "hash"):
            if attachment is not None and item.bundle is None and not attachment.has(name):
                self._findings.warn("FHIR_UNUSUAL", attachment.place(name), f"{name}: absent", document=item.index)

    def _hold(self, item: Item) -> None:
        """Find the bytes of a document: its url leads to one Binary of the bundle."""
        attachment, findings, index = item.attachment, self._findings, item.index
        if attachment is None:
            findings.add("FHIR_REQUIRED", item.reference.place("content[0]", "attachment"), "attachment", document=index)
            return
        if attachment.has("data"):
            findings.add("FHIR_INVARIANT", attachment.place("data"), "data: the bytes stand in a Binary", document=index)
            return
        url = attachment.text("url")
        if url is None:
            findings.add("FHIR_REQUIRED", attachment.place("url"), "url", document=index)
            return
        found = self._request.references.resolve(Node({"reference": url}, attachment.path), item.reference)
        if found.node is None or found.node.path not in self._binaries:
            findings.add("FHIR_REFERENCE", attachment.place("url"), found.failed or "url: no Binary", document=index)
            return
        binary = found.node
        if binary.path in self._described:
            findings.add(
                "FHIR_INVARIANT", attachment.place("url"), f"url: this {binary.type} is another document", document=index
            )
            return
        self._described.add(binary.path)
        if binary.type == "Bundle":
            self._publish(item, attachment, binary)
            return
        place = binary.place("data")
        blob = self._request.loaded.blobs.get(place.path)
        if blob is None:
            findings.add("FHIR_REQUIRED", place, "data", document=index)
            return
        item.around = (*item.around, binary)
        item.held = Held(place, blob, binary.text("contentType"))

    def _publish(self, item: Item, attachment: Node, bundle: Node) -> None:
        """Take a FHIR document, its bytes as they stand in the body; nobody can say their hash (FHIR Document Publish)."""
        for name in ("size", "hash"):
            if attachment.has(name):
                self._findings.add("FHIR_INVARIANT", attachment.place(name), f"{name}: of a FHIR document", document=item.index)
        stated = (attachment.text("contentType") or "").partition(";")[0].strip().casefold()
        if not stated:
            self._findings.add("FHIR_REQUIRED", attachment.place("contentType"), "contentType", document=item.index)
        elif stated != FHIR_DOCUMENT:
            self._findings.add("ATTACHMENT_DIFFERS", attachment.place("contentType"), "contentType", document=item.index)
        payload = self._request.loaded.payload
        item.bundle = bundle
        item.held = Held(bundle.place(), Blob(resource_of(payload, self._places[bundle.path]), None), FHIR_DOCUMENT)

    def _sent(self, submission_set: Node) -> Sent:
        """Read the SubmissionSet."""
        request, findings = self._request, self._findings
        if submission_set.text("status") != "current":
            findings.add("FHIR_INVARIANT", submission_set.place("status"), "status: current")
        if submission_set.text("mode") != "working":
            findings.add("FHIR_INVARIANT", submission_set.place("mode"), "mode: working")
        for name in _SET_FORBIDS:
            if submission_set.has(name):
                findings.add("FHIR_INVARIANT", submission_set.place(name), name)
        self._items(submission_set)
        date = when(submission_set.text("date"))
        if date is None:
            findings.add("FHIR_REQUIRED", submission_set.place("date"), "date")
        identified = submission_set.extension(SOURCE_ID)
        if identified is None or identified.one("valueIdentifier") is None:
            findings.add("FHIR_REQUIRED", submission_set.place("extension"), "ihe-sourceId")
        content_type, content_type_at = self._content_type(submission_set)
        request.subjects.add(submission_set.one("subject"), submission_set, "subject")
        patient = submission_set.extension(SOURCE_PATIENT)
        if patient is not None:
            request.subjects.view(patient.one("valueReference"), submission_set)
        source = submission_set.one("source")
        sender_at = submission_set.place("source")
        if source is None:
            findings.add("SENDER_MISSING", sender_at, "source")
        elif failed := request.references.resolve(source, submission_set).failed:
            findings.add("FHIR_REFERENCE", source.place("reference"), failed)
        return Sent(
            sender=request.people.author(source, submission_set),
            sender_at=sender_at,
            content_type=content_type,
            date=date,
            subject_at=submission_set.place("subject"),
            places={"sender": sender_at, "content_type": content_type_at},
            beside=request.people.beside(source, submission_set),
        )

    def _items(self, submission_set: Node) -> None:
        """Resolve what the set holds: every DocumentReference of the bundle, each once."""
        findings, held = self._findings, set()
        for entry in submission_set.all("entry"):
            for name in _ITEM_FORBIDS:
                if entry.has(name):
                    findings.add("FHIR_INVARIANT", entry.place(name), name)
            item = entry.one("item")
            found = self._request.references.resolve(item, submission_set)
            if found.node is None or found.node.type not in {"DocumentReference", "List"}:
                place = entry.place("item", "reference")
                findings.add("FHIR_REFERENCE", place, found.failed or "item: no DocumentReference of this bundle")
                continue
            if found.node.path in held:
                findings.add("FHIR_INVARIANT", entry.place("item", "reference"), "item: twice")
            held.add(found.node.path)
        for index, reference in enumerate(self._references):
            if reference.path not in held:
                findings.add("FHIR_INVARIANT", reference.place(), "not in the SubmissionSet", document=index)

    def _content_type(self, submission_set: Node) -> tuple[Code | None, Place]:
        """Read designationType: the activity that made the documents."""
        extension = submission_set.extension(DESIGNATION)
        said = None if extension is None else extension.one("valueCodeableConcept")
        code = concept(said)
        if said is not None and code is not None:
            return code, said.place("coding[0]", "code")
        place = submission_set.place("extension")
        default = self._request.source.content_type
        if default is not None:
            return Code(code=default, system="JDV_J59"), place
        self._findings.add("FHIR_REQUIRED", place, "ihe-designationType")
        return None, place
