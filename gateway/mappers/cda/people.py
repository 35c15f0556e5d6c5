"""Who wrote, signed and keeps a document: people, devices and organisations, with the place of each value."""

from typing import Final

from gateway.mappers.cda.times import read_when
from gateway.mappers.cda.values import code_of, coded, first_id, id_attribute, read_id
from gateway.mappers.cda.walk import Findings, Node
from gateway.model.document import Author, Organisation, Person
from gateway.model.place import Place

#: Roots of professionals and of structures (PS_IdNat, Struct_IdNat). Source: CI-SIS, CDA R2.
PERSON_ROOT: Final = "1.2.250.1.71.4.2.1"
ORGANISATION_ROOT: Final = "1.2.250.1.71.4.2.2"

#: Part of a name → field of `Person`; several parts of a kind are joined, whatever their order.
_NAME_PARTS: Final = ("family", "given", "prefix", "suffix")

Places = dict[str, Place]


class PeopleReader:
    """Reads the roles of a header and notes where each value stood."""

    def __init__(self, findings: Findings, places: Places) -> None:
        """Read into `places`, with problems into `findings`."""
        self._findings = findings
        self._places = places

    def _note(self, field: str, node: Node, attribute: str | None = None) -> None:
        self._places[field] = self._findings.place(node, attribute)

    def author(self, node: Node, field: str, *, assigned: str, role: str | None = None) -> Author:
        """
        Read an author, legal authenticator or the like.

        Args:
            node: The participation (`author`, `legalAuthenticator`).
            field: Its name in `places`.
            assigned: Its role element: `assignedAuthor` or `assignedEntity`.
            role: Element of the participation that holds the functional role, if it has one.
        """
        time = node.one("time")
        when = read_when(self._findings, time)
        if time is not None and when is not None:
            self._note(f"{field}.time", time, "value")
        function = code_of(node.one(role)) if role is not None else None
        if role is not None and function is not None and (where := node.one(role)) is not None:
            self._note(f"{field}.role", where, "code")
        entity = node.one(assigned)
        if entity is None:
            return Author(time=when, role=function)
        kind = coded(entity.one("code"))
        specialty = code_of(kind)
        if kind is not None and specialty is not None:
            self._note(f"{field}.specialty", kind, "code")
        return Author(
            person=self.person(entity, f"{field}.person"),
            organisation=self.organisation(entity.one("representedOrganization"), f"{field}.organisation"),
            specialty=specialty,
            role=function,
            time=when,
        )

    def person(self, entity: Node, field: str) -> Person | None:
        """
        Read the person or device of an assigned author or entity.

        Returns:
            None if there is neither an identifier nor a name.
        """
        known = first_id(entity.all("id"), root=PERSON_ROOT)
        identifier = read_id(known)
        others = dict.fromkeys(other for each in entity.all("id") if (other := read_id(each)) is not None and other != identifier)
        if known is not None:
            self._note(f"{field}.id", known, id_attribute(known))
        parts = self._name(entity.one("assignedPerson", "name"), field)
        device = self._device(entity.one("assignedAuthoringDevice"), field)
        if identifier is None and not parts and device is None:
            return None
        return Person(
            id=identifier,
            other_ids=tuple(others),
            family=parts.get("family"),
            given=parts.get("given"),
            prefix=parts.get("prefix"),
            suffix=parts.get("suffix"),
            device=device,
        )

    def organisation(self, node: Node | None, field: str) -> Organisation | None:
        """Read an organisation; None if it has neither an identifier nor a name."""
        if node is None:
            return None
        known = first_id(node.all("id"), root=ORGANISATION_ROOT)
        named = node.one("name")
        name = named.text if named is not None else None
        if known is not None:
            self._note(f"{field}.id", known, id_attribute(known))
        if named is not None and name is not None:
            self._note(f"{field}.name", named)
        if known is None and name is None:
            return None
        own = read_id(known)
        others = dict.fromkeys(other for each in node.all("id") if (other := read_id(each)) is not None and other != own)
        return Organisation(id=own, other_ids=tuple(others), name=name)

    def _name(self, node: Node | None, field: str) -> dict[str, str]:
        """Read the parts of a name by element, never by position; a name without parts is a family name."""
        if node is None:
            return {}
        parts: dict[str, str] = {}
        for part in _NAME_PARTS:
            written = [(each, text) for each in node.all(part) if (text := each.text) is not None]
            if written:
                parts[part] = " ".join(text for _, text in written)
                self._note(f"{field}.{part}", written[0][0])
        if not parts and (whole := node.text) is not None:
            parts["family"] = whole
            self._note(f"{field}.family", node)
        return parts

    def _device(self, node: Node | None, field: str) -> str | None:
        """Read the name of a software, or of the model of a device."""
        for name in ("softwareName", "manufacturerModelName"):
            named = node.one(name) if node is not None else None
            text = named.text if named is not None else None
            if named is not None and text is not None:
                self._note(f"{field}.device", named)
                return text
        return None
