"""
Where a reference leads: by fullUrl, by #id, by an identifier; never by position, never to the outside.

Source: HL7 FHIR R4, bundle (resolving references), references; D-23.
"""

from dataclasses import dataclass
from typing import Final

from gateway.mappers.fhir.values import conditional
from gateway.mappers.fhir.walk import Node

_HISTORY: Final = "/_history/"
_RESTFUL: Final = ("http://", "https://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """
    What a reference leads to.

    Attributes:
        node: The resource; None if it is not here.
        identifier: (system, value) of a reference that names an identifier.
        kinds: What that identifier is said to be: the codes of its type, in the reference, else in the resource that has it.
        failed: Why there is neither.
        unusual: What was tolerated.
    """

    node: Node | None = None
    identifier: tuple[str | None, str] | None = None
    kinds: tuple[str, ...] = ()
    failed: str = ""
    unusual: str = ""


class References:
    """Resolves the references of one body."""

    def __init__(self, root: Node) -> None:
        """Know the entries of a Bundle; of any other resource only what it contains."""
        self._urls: dict[str, str | None] = {}
        #: Each way to find an entry is looked up, never searched: a body has as many references as its sender likes.
        self._by_full_url: dict[str | None, list[Node]] = {}
        self._by_id: dict[tuple[str, str | None], list[Node]] = {}
        self._by_known: dict[tuple[str | None, str | None], list[tuple[Node, Node]]] = {}
        self._inside: dict[str, dict[str | None, list[Node]]] = {}
        for entry in root.all("entry") if root.type == "Bundle" else ():
            resource = entry.one("resource")
            if resource is None:
                continue
            url = entry.text("fullUrl")
            self._urls[resource.path] = url
            self._by_full_url.setdefault(url, []).append(resource)
            self._by_id.setdefault((resource.type, resource.text("id")), []).append(resource)
            for known in resource.all("identifier"):
                self._by_known.setdefault((known.text("system"), known.written("value")), []).append((resource, known))

    def resolve(self, reference: Node | None, holder: Node) -> Found:
        """
        Resolve a reference.

        Args:
            reference: The Reference; None, or one with a display only, leads to nothing and is no failure.
            holder: The resource that contains it (an entry's resource, or the root).

        Returns:
            Where it leads.
        """
        if reference is None:
            return Found()
        written = reference.written("reference")
        if written is None:
            return self._by_identifier(reference)
        if written.startswith("#"):
            return self._contained(written, holder)
        asked = conditional(written)
        if asked is not None:
            kind, system, value = asked
            return self._known(kind, system, value)
        if "?" in written:
            return Found(failed="a search that is none by identifier")
        if ":" in written:
            return self._by_url(written)
        return self._relative(written, holder)

    def _by_identifier(self, reference: Node) -> Found:
        known = reference.one("identifier")
        value = known.written("value") if known is not None else None
        if known is None or value is None:
            return Found()
        return self._known(reference.text("type"), known.text("system"), value, kinds(known))

    def _known(self, kind: str | None, system: str | None, value: str, said: tuple[str, ...] = ()) -> Found:
        """Find the entry that has an identifier; the identifier is an answer also without it."""
        found: dict[str, Node] = {}
        for resource, known in self._by_known.get((system, value), ()):
            if kind in {None, resource.type}:
                found[resource.path] = resource
                said = said or kinds(known)
        if len(found) > 1:
            return Found(failed="several entries with this identifier")
        return Found(node=next(iter(found.values()), None), identifier=(system, value), kinds=said)

    def _contained(self, written: str, holder: Node) -> Found:
        if written == "#":
            return Found(node=holder)
        inside = self._inside.get(holder.path)
        if inside is None:
            inside = self._inside[holder.path] = {}
            for each in holder.all("contained"):
                inside.setdefault(each.text("id"), []).append(each)
        found = inside.get(written[1:], [])
        return Found(node=found[0]) if len(found) == 1 else Found(failed="no contained resource of that id")

    def _by_url(self, written: str) -> Found:
        url, _, version = written.partition(_HISTORY)
        found = self._by_full_url.get(url, [])
        if version:
            found = [each for each in found if (meta := each.one("meta")) is not None and meta.text("versionId") == version]
        if len(found) > 1:
            return Found(failed="several entries with this fullUrl")
        return Found(node=found[0]) if found else Found(failed="no entry with this fullUrl")

    def _relative(self, written: str, holder: Node) -> Found:
        """Resolve `Type/id` by the entry's own base, if it has one; else the one entry of that type and id, which is told."""
        url = self._urls.get(holder.path)
        kind, _, known = written.partition(_HISTORY)[0].partition("/")
        if url is not None and url.startswith(_RESTFUL):
            found = self._by_url(f"{url.rsplit('/', 2)[0]}/{written}")
            if found.node is not None:
                return found
        same = self._by_id.get((kind, known), [])
        if len(same) == 1:
            return Found(node=same[0], unusual="Type/id without a base: the entry of that type and id was taken")
        return Found(failed="several entries of that type and id" if same else "no entry of that type and id")


def kinds(identifier: Node) -> tuple[str, ...]:
    """Return what an identifier is said to be: the code of each coding of its type."""
    return tuple(code for kind in identifier.all("type") for coding in kind.all("coding") if (code := coding.text("code")))
