"""
What a DocumentReference replaces: relatesTo, the PATCH of the replaced one, and the CDA, in one voice.

Source: PDSm 3.1 (TD2.1); IHE MHD 4.2; CI-SIS, relatedDocument; D-4, D-5.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.mappers.common.findings import Findings
from gateway.mappers.fhir.values import URI_SYSTEM, bare, conditional, is_oid, is_uuid, same_id, unique_id
from gateway.mappers.fhir.walk import Node
from gateway.model.document import DocumentEntry
from gateway.model.place import Place
from gateway.model.submission import Act

REPLACES: Final = "replaces"
_DOCUMENT_REFERENCE: Final = "DocumentReference"
_URN: Final = ("urn:oid:", "urn:uuid:")


@dataclass(frozen=True, slots=True)
class Target:
    """
    The document that a relation or a PATCH is about.

    Attributes:
        written: The reference or URL, to compare one with the other.
        unique_id: Its uniqueId, where the reference says it.
        is_ours: The reference has the form of an id that a server gave: only the document itself can say which one it is.
        place: Where it stands.
    """

    written: str
    unique_id: str | None
    is_ours: bool
    place: Place


def act_of(references: list[Node]) -> Act | None:
    """Return what the documents ask for; None: some replace and some do not."""
    replacing = {any(each.text("code") == REPLACES for each in one.all("relatesTo")) for one in references}
    if replacing == {True}:
        return Act.REPLACE
    return Act.ADD if replacing <= {False} else None


def targets(reference: Node, index: int, findings: Findings) -> list[Target]:
    """Return the documents that one replaces; FHIR_REFERENCE for a target that names none, FHIR_UNUSUAL for other relations."""
    found: list[Target] = []
    for relation in reference.all("relatesTo"):
        if relation.text("code") != REPLACES:
            findings.warn("FHIR_UNUSUAL", relation.place("code"), "this relation is not kept", document=index)
            continue
        target = relation.one("target")
        if target is None:
            findings.add("FHIR_REQUIRED", relation.place("target"), "target", document=index)
            continue
        read = _target(target)
        if read.unique_id is None and not read.is_ours:
            findings.add("FHIR_REFERENCE", read.place, "relatesTo: names no document", document=index)
            continue
        found.append(read)
    return found


def _target(reference: Node) -> Target:
    known = reference.one("identifier")
    written = reference.text("reference")
    named = unique_id(known.text("system"), known.text("value")) if known is not None else None
    if written is None:
        return Target("", named, is_ours=False, place=reference.place("identifier"))
    read = of_url(written, reference.place("reference"))
    return read if named is None else Target(read.written, named, read.is_ours, read.place)


def of_url(written: str, place: Place) -> Target:
    """
    Read the target of a reference or of a PATCH.

    Args:
        written: ``DocumentReference?identifier=…``, ``DocumentReference/<id>``, an absolute form of it, or the uniqueId as a URN.
        place: Where it stands.
    """
    asked = conditional(written)
    if asked is not None and asked[0] == _DOCUMENT_REFERENCE:
        return Target(written, unique_id(asked[1] or URI_SYSTEM, asked[2]), is_ours=False, place=place)
    if written.startswith(_URN):
        named = bare(written)
        return Target(written, named if is_oid(named) else None, is_ours=False, place=place)
    steps = written.partition("/_history/")[0].split("/")
    if steps[-2:-1] != [_DOCUMENT_REFERENCE]:
        return Target(written, None, is_ours=False, place=place)
    known = steps[-1]
    return Target(f"{_DOCUMENT_REFERENCE}/{known}", known if is_oid(known) else None, is_ours=is_uuid(known), place=place)


def replaced(
    found: list[Target], entry: DocumentEntry, act: Act, index: int, findings: Findings, *, at: Place
) -> tuple[str, ...]:
    """
    Return the uniqueIds that a document replaces.

    Args:
        found: What relatesTo says.
        entry: What the CDA says.
        act: What the request asks for: it decides, and a CDA that says otherwise is refused.
        index: Of the document.
        findings: Takes RELATION_DIFFERS, FHIR_REFERENCE, and CDA_UNUSUAL or FHIR_UNUSUAL as warnings.
        at: The document's bytes.
    """
    if act is not Act.REPLACE:
        if entry.replaces:
            place = entry.places.get("replaces[0]") or at
            findings.add("RELATION_DIFFERS", place, "relatedDocument in a new document", document=index)
        return ()
    named = [target.unique_id for target in found if target.unique_id is not None]
    for target in found:
        if target.unique_id is None and not entry.replaces:
            detail = "an id of a server: the CDA has no relatedDocument that says which document it is"
            findings.add("FHIR_REFERENCE", target.place, detail, document=index)
        elif target.unique_id is None:
            detail = "an id of a server: the document of relatedDocument was taken"
            findings.warn("FHIR_UNUSUAL", target.place, detail, document=index)
        elif entry.replaces and not any(same_id(target.unique_id, parent) for parent in entry.replaces):
            findings.add("RELATION_DIFFERS", target.place, "relatesTo against relatedDocument", document=index)
    if entry.replaces:
        return entry.replaces
    if named:
        findings.warn("CDA_UNUSUAL", at, "no relatedDocument: relatesTo was taken", document=index)
    return tuple(dict.fromkeys(named))


class Patches:
    """The PATCH entries of a transaction: each marks one replaced document as superseded."""

    def __init__(self, findings: Findings) -> None:
        """Begin with none."""
        self._findings = findings
        self._found: list[Target] = []

    def add(self, entry: Node, parameters: Node) -> None:
        """Read one; FHIR_INVARIANT for another change than that of the status to superseded."""
        request = entry.one("request")
        url = None if request is None else request.text("url")
        at = entry.place("request", "url")
        target = None if url is None else of_url(url.lstrip("/"), at)
        if target is None or (target.unique_id is None and not target.is_ours):
            self._findings.add("FHIR_REFERENCE", at, "PATCH: names no document")
        else:
            self._found.append(target)
        operations = [each for each in parameters.all("parameter") if each.text("name") == "operation"]
        if len(operations) != 1 or len(parameters.all("parameter")) != 1:
            self._findings.add("FHIR_INVARIANT", parameters.place("parameter"), "PATCH: one operation")
        for operation in operations:
            said = {part.text("name"): _said(part) for part in operation.all("part")}
            if said != {"type": "replace", "path": "DocumentReference.status", "value": "superseded"}:
                detail = "PATCH: only DocumentReference.status to superseded"
                self._findings.add("FHIR_INVARIANT", operation.place("part"), detail)

    def check(self, replaced_documents: list[tuple[int, Target]]) -> None:
        """Compare them with the relations: FHIR_INVARIANT for one without relation, FHIR_UNUSUAL for a relation without one."""
        known = _Names([target for _, target in replaced_documents])
        for patch in self._found:
            if patch not in known:
                self._findings.add("FHIR_INVARIANT", patch.place, "PATCH of a document that nothing here replaces")
        patched = _Names(self._found)
        for index, target in replaced_documents:
            if target not in patched:
                self._findings.warn("FHIR_UNUSUAL", target.place, "no PATCH of the replaced document", document=index)


def _said(part: Node) -> object:
    return next((value for name, value in part.value.items() if name.startswith("value")), None)


class _Names:
    """Documents by their names: by the uniqueId where both sides say one, else by what is written."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self._ids: set[str] = set()
        self._written: dict[str, bool] = {}
        for target in targets:
            if target.unique_id is not None:
                self._ids.add(_folded(target.unique_id))
            silent = target.unique_id is None
            self._written[target.written] = self._written.get(target.written, False) or silent

    def __contains__(self, target: Target) -> bool:
        if target.unique_id is None:
            return target.written in self._written
        return _folded(target.unique_id) in self._ids or self._written.get(target.written, False)


def _folded(unique_id: str) -> str:
    """Return a uniqueId as it is compared: of a UUID the case does not count."""
    return unique_id.casefold() if is_uuid(unique_id) else unique_id
