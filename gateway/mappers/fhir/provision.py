"""
What the provision of a Consent opposes or allows: read whole, or refused; never wider and never narrower than it was said.

Source: HL7 FHIR R4, consent; IHE PCF; D-3; O-2, O-10; R-13, R-14.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.mappers.common.findings import Findings
from gateway.mappers.fhir.walk import Node
from gateway.model.code import Code
from gateway.model.event import Position, Right, Scope
from gateway.model.place import Place
from gateway.model.professional import is_national, professional_key
from gateway.model.source import Directory
from gateway.terminology import oid_of, table

_POSITIONS: Final[Mapping[str, Position]] = MappingProxyType({"deny": Position.OPPOSES, "permit": Position.ALLOWS})

_ACTIONS: Final = "http://terminology.hl7.org/CodeSystem/consentaction"
_RIGHTS: Final[Mapping[str, Right]] = MappingProxyType({"collect": Right.FEEDING, "access": Right.CONSULTATION})

#: What restricts a provision in a way that no statement has.
_NOT_KEPT: Final = ("data", "dataPeriod", "securityLabel")
#: Ordinary care restricts nothing. Source: HL7 v3 ActReason.
_ORDINARY: Final = frozenset({"TREAT"})

#: Value set of what each element names, and the scope that it gives.
_CODED: Final = (("class", Scope.CLASS, "class_code"), ("code", Scope.TYPE, "type_code"))

_ORGANIZATION: Final = "Organization"
_PROFESSIONALS: Final = frozenset({"Practitioner", "PractitionerRole"})
#: Part of an identifier's system → what bears it. Source: fr-core; CI-SIS (PS_IdNat, Struct_IdNat).
_SYSTEMS: Final = (
    ("finess", _ORGANIZATION),
    ("1.2.250.1.71.4.2.2", _ORGANIZATION),
    ("rpps", "Practitioner"),
    ("adeli", "Practitioner"),
    ("1.2.250.1.71.4.2.1", "Practitioner"),
)

#: Finds what a reference leads to, contained or told by its identifier; None: nowhere.
Resolve = Callable[[Node], Node | None]

#: How many statements one Consent may make.
MOST: Final = 50


@dataclass(frozen=True, slots=True)
class Target:
    """
    What a statement binds.

    Attributes:
        scope: Its kind.
        value: What it names; None for all.
        place: Where it is said.
    """

    scope: Scope
    value: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class Said:
    """
    One thing that a provision says.

    Attributes:
        right: What it is about.
        position: What is said about it.
        target: What it binds.
    """

    right: Right
    position: Position
    target: Target


def read(provision: Node, directory: Directory, resolve: Resolve, findings: Findings) -> tuple[Said, ...]:
    """
    Read a provision and its exceptions.

    An exception is kept as a statement of its own: what is permitted with a narrower denial is an allowance and a narrower
    opposition. A denial with a narrower permission cannot be kept so: an opposition to everything is lifted by no narrower
    allowance (O-2).

    Args:
        provision: `Consent.provision`.
        directory: Establishments, to find those that actors name.
        resolve: Finds what a reference leads to.
        findings: Takes CONSENT_UNCLEAR, CONSENT_RESTRICTION, FHIR_REFERENCE.

    Returns:
        What it says, in the order of the Consent; nothing of it counts if there are errors.
    """
    reader = _Reader(directory, resolve, findings)
    position, rights = _position(provision, findings), _rights(provision, findings)
    said = reader.said(provision, position, rights)
    for exception in provision.all("provision"):
        for deeper in exception.all("provision"):
            findings.add("CONSENT_RESTRICTION", deeper.place(), "an exception of an exception")
        contrary = _position(exception, findings)
        if position is not Position.ALLOWS or contrary is not Position.OPPOSES:
            findings.add("CONSENT_RESTRICTION", exception.place("type"), "only a permission can have exceptions, that deny")
        narrowed = _rights(exception, findings) if exception.has("action") else rights
        if not any(exception.has(name) for name in ("actor", "class", "code")):
            findings.add("CONSENT_UNCLEAR", exception.place(), "an exception that names nothing")
        said += reader.said(exception, contrary, narrowed)
    if len(said) > MOST:
        findings.add("CONSENT_RESTRICTION", provision.place(), f"over {MOST} statements")
    return said


@dataclass(frozen=True, slots=True)
class _Reader:
    """What provisions are read with."""

    directory: Directory
    resolve: Resolve
    findings: Findings

    def said(self, provision: Node, position: Position | None, rights: tuple[Right, ...]) -> tuple[Said, ...]:
        _restrictions(provision, self.findings)
        targets = self._targets(provision)
        if position is None:
            return ()
        return tuple(Said(right, position, target) for right in rights for target in targets)

    def _targets(self, provision: Node) -> tuple[Target, ...]:
        """Return what a provision binds: all, or each of what one kind of element names; two kinds together cannot be kept."""
        kinds = [[self._actor(actor) for actor in provision.all("actor")]]
        kinds += [_coded(provision, name, scope, values, self.findings) for name, scope, values in _CODED]
        named = [kind for kind in kinds if kind]
        if len(named) > 1:
            self.findings.add("CONSENT_RESTRICTION", provision.place(), "actor, class and code together")
        if not named:
            return (Target(Scope.ALL, None, provision.place()),)
        return tuple(target for kind in named for target in kind if target is not None)

    def _actor(self, actor: Node) -> Target | None:
        """Return the establishment, by its FINESS, or the professional, by their national number, that an actor is."""
        reference, place = actor.one("reference"), actor.place("reference")
        who = None if reference is None else self.resolve(reference)
        if who is None:
            self.findings.add("FHIR_REFERENCE", place, "actor")
            return None
        said = who.type or (reference.text("type") if reference is not None else None)
        for identifier in identifiers(who):
            kind, number = said or _kind(identifier), identifier.text("value") or ""
            key = establishment_of(number, self.directory)
            if kind == _ORGANIZATION and key is not None:
                return Target(Scope.ESTABLISHMENT, key, place)
            professional = professional_key(number)
            if kind in _PROFESSIONALS and professional is not None and is_national(professional):
                return Target(Scope.PROFESSIONAL, professional, place)
        self.findings.add("CONSENT_RESTRICTION", place, "actor: neither a FINESS nor a national number of a professional")
        return None


def identifiers(who: Node) -> tuple[Node, ...]:
    """Return the identifiers of a resource, or the one that stands for it."""
    return (*who.all("identifier"), *((who,) if who.has("value") else ()))


def establishment_of(number: str, directory: Directory) -> str | None:
    """Return the key of the establishment, or of its site, that a FINESS names; None if it is no FINESS."""
    return directory.site(number) or directory.by_finess(number)


def _kind(identifier: Node) -> str | None:
    """Return what an identifier alone shows: the type of its bearer, by its system."""
    system = (identifier.text("system") or "").casefold()
    return next((kind for part, kind in _SYSTEMS if part in system), None)


def _position(provision: Node, findings: Findings) -> Position | None:
    found = _POSITIONS.get(provision.text("type") or "")
    if found is None:
        findings.add("CONSENT_UNCLEAR", provision.place("type"), "type")
    return found


def _rights(provision: Node, findings: Findings) -> tuple[Right, ...]:
    found: dict[Right, None] = {}
    for action in provision.all("action"):
        codes = {coding.text("code") for coding in action.all("coding") if coding.text("system") == _ACTIONS}
        known = [right for code, right in _RIGHTS.items() if code in codes]
        if len(known) != 1 or len(codes) != 1:
            findings.add("CONSENT_UNCLEAR", action.place(), "action: collect or access")
        found |= dict.fromkeys(known)
    if not provision.has("action"):
        findings.add("CONSENT_UNCLEAR", provision.place("action"), "action")
    return tuple(found)


def _restrictions(provision: Node, findings: Findings) -> None:
    for name in _NOT_KEPT:
        if provision.has(name):
            findings.add("CONSENT_RESTRICTION", provision.place(name), name)
    for purpose in provision.all("purpose"):
        if purpose.text("code") not in _ORDINARY:
            findings.add("CONSENT_RESTRICTION", purpose.place(), "purpose")
    period = provision.one("period")
    if period is not None and period.has("end"):
        findings.add("CONSENT_RESTRICTION", period.place("end"), "period.end")


def _coded(provision: Node, name: str, scope: Scope, values: str, findings: Findings) -> list[Target | None]:
    """Return the classes or types that an element names; one that no document has is no restriction that could be kept."""
    found: list[Target | None] = []
    for each in provision.all(name):
        codings = [each] if name == "class" else each.all("coding")
        known = [code for coding in codings if (code := _known(coding, values)) is not None]
        if not known:
            findings.add("CONSENT_RESTRICTION", each.place(), f"{name}: no {scope.value} of documents")
        found.append(Target(scope, known[0], each.place()) if known else None)
    return found


def _known(coding: Node, values: str) -> str | None:
    code, system = coding.text("code"), coding.text("system")
    oid = None if system is None else oid_of(system)
    return code if code is not None and oid is not None and Code(code=code, system=oid) in table(values) else None
