"""Who acts on a document: practitioner, role, device, patient or organisation, in the form that a CDA gives them."""

import re
from collections.abc import Iterator
from typing import Final

from gateway.mappers.fhir.references import References
from gateway.mappers.fhir.values import bare, code, identifier
from gateway.mappers.fhir.walk import Node
from gateway.model.code import Code, Identifier
from gateway.model.document import Author, Organisation, Person

#: National roots. Source: CI-SIS, PS_IdNat, Struct_IdNat.
PEOPLE: Final = "1.2.250.1.71.4.2.1"
ORGANISATIONS: Final = "1.2.250.1.71.4.2.2"

AUTHOR_ORGANISATION: Final = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-authorOrg"

_RPPS: Final = frozenset({"rpps.esante.gouv.fr", "rpps.fr"})
_ADELI: Final = frozenset({"adeli.esante.gouv.fr"})
_FINESS: Final = frozenset({"finess.esante.gouv.fr", "finess.sante.gouv.fr"})
_SIRENE: Final = frozenset({"sirene.fr"})
_ELEVEN: Final = re.compile(r"\d{11}", re.ASCII)
_SIREN: Final = re.compile(r"\d{9}", re.ASCII)


def _host(system: str | None) -> str:
    return (system or "").removeprefix("https://").removeprefix("http://").rstrip("/")


def national_person(known: Node) -> Identifier | None:
    """
    Return the number of a person; an RPPS or ADELI in its national form (``8`` or ``0`` and the number) under its root.

    A number of ten digits under the RPPS is an exercise situation, and is not the person's.
    """
    found = identifier(known)
    if found is None:
        return None
    host = _host(known.text("system"))
    if host in _RPPS:
        is_person = _ELEVEN.fullmatch(found.value) is not None
        return Identifier(value=f"8{found.value}", authority=PEOPLE, type=found.type) if is_person else None
    if host in _ADELI:
        return Identifier(value=f"0{found.value}", authority=PEOPLE, type=found.type)
    return found


def national_organisation(known: Node) -> Identifier | None:
    """Return the number of an organisation; a FINESS, SIREN or SIRET in its national form (``1``, ``2``, ``3``, number)."""
    found = identifier(known)
    if found is None:
        return None
    host = _host(known.text("system"))
    if host in _FINESS:
        return Identifier(value=f"1{found.value}", authority=ORGANISATIONS, type=found.type)
    if host in _SIRENE:
        prefix = "2" if _SIREN.fullmatch(found.value) else "3"
        return Identifier(value=f"{prefix}{found.value}", authority=ORGANISATIONS, type=found.type)
    return found


class People:
    """Reads whom a reference names; what cannot be resolved is told by whoever asks."""

    def __init__(self, references: References) -> None:
        """Resolve by these references."""
        self._references = references

    def author(self, reference: Node | None, holder: Node) -> Author | None:
        """
        Read an author, authenticator or sender.

        Args:
            reference: The Reference; its extension `ihe-authorOrg` names the organisation.
            holder: The resource in which it stands.

        Returns:
            Who; None if it leads to nobody that has a name or a number.
        """
        if reference is None:
            return None
        found = self._references.resolve(reference, holder)
        node = found.node
        if node is None:
            author = self._by_identifier(reference, found.identifier)
        elif node.type == "PractitionerRole":
            author = self._role(node, holder)
        elif node.type == "Organization":
            author = Author(organisation=organisation(node))
        else:
            author = Author(person=person(node))
        beside = self.beside(reference, holder)
        if beside is not None and author.organisation is None:
            author = Author(person=author.person, organisation=beside, specialty=author.specialty)
        return None if author.person is None and author.organisation is None else author

    def beside(self, reference: Node | None, holder: Node) -> Organisation | None:
        """Read the organisation that the extension `ihe-authorOrg` of a reference names, beside the one of a role."""
        extension = None if reference is None else reference.extension(AUTHOR_ORGANISATION)
        return None if extension is None else self.organisation(extension.one("valueReference"), holder)

    def organisation(self, reference: Node | None, holder: Node) -> Organisation | None:
        """Read an organisation (of a role, a custodian)."""
        if reference is None:
            return None
        found = self._references.resolve(reference, holder)
        if found.node is not None:
            return organisation(found.node)
        node = reference.one("identifier")
        number = None if node is None else national_organisation(node)
        if number is None and found.identifier is not None:
            number = Identifier(value=found.identifier[1], authority=bare(found.identifier[0]))
        display = reference.text("display")
        return None if number is None and display is None else Organisation(id=number, name=display)

    @staticmethod
    def _by_identifier(reference: Node, known: tuple[str | None, str] | None) -> Author:
        """Return whom a reference names by an identifier or a display alone."""
        node, display = reference.one("identifier"), reference.text("display")
        if reference.text("type") == "Organization":
            owner = None if node is None else national_organisation(node)
            return Author(organisation=None if owner is None and display is None else Organisation(id=owner, name=display))
        number = None if node is None else national_person(node)
        if number is None and known is not None:
            number = Identifier(value=known[1], authority=bare(known[0]))
        return Author(person=None if number is None and display is None else Person(id=number, family=display))

    def _role(self, role: Node, holder: Node) -> Author:
        """Read a role; one that is contained refers to what stands beside it."""
        inside = holder if role.path.startswith(f"{holder.path}.contained") else role
        reference = role.one("practitioner")
        named = None
        if reference is not None:
            who = self._references.resolve(reference, inside)
            named = self._by_identifier(reference, who.identifier).person if who.node is None else person(who.node)
        return Author(
            person=named,
            organisation=self.organisation(role.one("organization"), inside),
            specialty=next(iter([*_codes(role, "specialty"), *_codes(role, "code")]), None),
        )


def person(node: Node) -> Person | None:
    """Read a Practitioner, Patient, RelatedPerson or Device."""
    numbers = [known for each in node.all("identifier") if (known := national_person(each)) is not None]
    first = next((known for known in numbers if known.authority == PEOPLE), numbers[0] if numbers else None)
    others = tuple(known for known in numbers if known != first)
    if node.type == "Device":
        named = node.one("deviceName")
        device = node.text("modelNumber") if named is None else named.text("name")
        return None if first is None and device is None else Person(id=first, other_ids=others, device=device)
    name = node.one("name") or Node({}, node.path)
    family = name.text("family") or name.text("text")
    given = " ".join(name.texts("given")) or None
    if first is None and family is None and given is None:
        return None
    prefix, suffix = (next(iter(name.texts(part)), None) for part in ("prefix", "suffix"))
    return Person(id=first, other_ids=others, family=family, given=given, prefix=prefix, suffix=suffix)


def organisation(node: Node) -> Organisation | None:
    """Read an Organization."""
    numbers = [known for each in node.all("identifier") if (known := national_organisation(each)) is not None]
    first = next((known for known in numbers if known.authority == ORGANISATIONS), numbers[0] if numbers else None)
    name = node.text("name")
    if first is None and name is None:
        return None
    return Organisation(id=first, other_ids=tuple(known for known in numbers if known != first), name=name)


def _codes(node: Node, name: str) -> Iterator[Code]:
    for concept in node.all(name):
        for coding in concept.all("coding"):
            found = code(coding)
            if found is not None:
                yield found
