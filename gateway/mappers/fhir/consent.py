"""
A Consent: an opposition to the feeding of the record (or to its consultation by a team), or its lifting.

Whose side it is is decided by the source, never by what the Consent says of itself. A source of kind `patient` is the patient's
own door: what it sends is of the patient's side and binds what it names. Any other source states for its own establishment, as
its ZFA-9 would: there the performer is the patient as well, so it tells nothing; did it count, any hospital's software could lift
the patient's own opposition by writing a name. What the patient states at a desk for every source goes by `record oppose`.

Source: HL7 FHIR R4, consent; D-1, D-3; O-1, O-2, O-3; R-13, R-14.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

import msgspec

from gateway.mappers.common.authorities import distinct
from gateway.mappers.common.findings import Findings
from gateway.mappers.common.reading import Read, rejected
from gateway.mappers.fhir import provision
from gateway.mappers.fhir.identity import TOO_LONG, Claims, of_identifier, of_patient
from gateway.mappers.fhir.json import Loaded
from gateway.mappers.fhir.provision import Said
from gateway.mappers.fhir.references import References
from gateway.mappers.fhir.validate import validate
from gateway.mappers.fhir.values import conditional, when
from gateway.mappers.fhir.walk import Node
from gateway.model.event import PatientEvent, Position, Right, Scope, Side, StatedBy, Statement
from gateway.model.ins import is_matricule, roots
from gateway.model.patient import PatientId
from gateway.model.problem import Severity
from gateway.model.source import Directory, Grant, Source, SourceKind
from gateway.model.when import When

_SCOPES: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
_PRIVACY: Final = "patient-privacy"
_ACTIVE: Final = "active"

#: What a source needs to say it.
GRANTS: Final[Mapping[Position, Grant]] = {
    Position.OPPOSES: Grant.STATE_OPPOSITION,
    Position.ALLOWS: Grant.LIFT_OPPOSITION,
}

#: Who may be the performer of what is of the patient's side. Source: O-1.
_STATED_BY: Final[Mapping[str, StatedBy]] = {"Patient": StatedBy.PATIENT, "RelatedPerson": StatedBy.REPRESENTATIVE}


def statements(
    consent: Node, references: References, source: Source, directory: Directory, findings: Findings
) -> tuple[Statement, ...]:
    """
    Return what a Consent states.

    Args:
        consent: The resource, valid R4.
        references: Of the same resource.
        source: Who sends: whose side it is, and what it may state.
        directory: All establishments.
        findings: Takes CONSENT_STATUS, CONSENT_UNCLEAR, CONSENT_RESTRICTION, CONSENT_NOT_OWN, SOURCE_NOT_ALLOWED; and
            CONSENT_OWN_ONLY, FHIR_UNUSUAL as notes.

    Returns:
        Its statements; they count only where nothing in the findings is an error.
    """
    status = consent.text("status")
    if status != _ACTIVE:
        findings.add("CONSENT_STATUS", consent.place("status"), "status")
    _check_scope(consent, findings)
    rule = consent.one("provision")
    if rule is None:
        findings.add("CONSENT_UNCLEAR", consent.place("provision"), "provision")
        return ()
    said = provision.read(rule, directory, lambda reference: resolved(references, consent, reference), findings)
    is_patients = set(directory.kinds(source)) == {SourceKind.PATIENT}
    side: _Side = _PatientsDoor(references) if is_patients else _Establishment(references, source, directory)
    by = side.stated_by(consent, findings)
    bound = side.bound(rule, said, findings)
    collected_at, basis = _collected(consent, rule, findings)
    for one in said:
        if GRANTS[one.position] not in source.grants:
            findings.add("SOURCE_NOT_ALLOWED", rule.place("type"), GRANTS[one.position].value)
            break
    return tuple(
        Statement(
            right=one.right,
            position=one.position,
            side=side.side,
            collected_by=source.establishment,
            scope=one.target.scope,
            scope_value=one.target.value,
            stated_by=by,
            collected_at=collected_at,
            basis=basis,
            place=one.target.place,
        )
        for one in bound
    )


def read(loaded: Loaded, source: Source, directory: Directory, environment: str) -> Read:
    """
    Read a Consent as an event of its patient.

    Args:
        loaded: The body.
        source: Who sends.
        directory: All establishments and their authorities.
        environment: `production` or `test`: which INS roots are taken.

    Returns:
        A patient event, or a rejection. Its identifiers are not linked by it: a Consent is no identity (D-1).
    """
    findings = Findings()
    if not source.grants.intersection(GRANTS.values()):
        findings.add("SOURCE_NOT_ALLOWED", None, "state_opposition, lift_opposition")
        return rejected(findings)
    consent = validate(loaded, findings)
    if consent is None:
        return rejected(findings)
    if consent.type != "Consent":
        findings.add("FHIR_UNSUPPORTED", consent.place("resourceType"), "a Consent belongs here")
        return rejected(findings)
    references = References(consent)
    claims = _patient(consent, references, source, directory, findings)
    stated = statements(consent, references, source, directory, findings)
    identifiers = _usable(claims, source, environment, findings)
    if findings.errors:
        return rejected(findings, patient=_shown(claims))
    problems = findings.in_message_order
    event = PatientEvent(
        trigger="Consent",
        identifiers=identifiers,
        links=False,
        identity=msgspec.structs.replace(claims.identity, identifiers=identifiers),
        statements=stated,
        problems=problems,
        places=dict(claims.places),
    )
    return Read(event, (), problems)


def _patient(consent: Node, references: References, source: Source, directory: Directory, findings: Findings) -> Claims:
    """Return what the Consent says of whose it is; without a patient that can be found FHIR_REFERENCE."""
    reference = consent.one("patient")
    found = references.resolve(reference, consent)
    place = consent.place("patient")
    if found.node is not None and found.node.type == "Patient":
        return of_patient(found.node, source, directory)
    if found.identifier is not None:
        return of_identifier(found.identifier, found.kinds, place, source, directory)
    findings.add("FHIR_REFERENCE" if reference is not None else "FHIR_REQUIRED", place, found.failed or "patient")
    return Claims(place)


def _usable(claims: Claims, source: Source, environment: str, findings: Findings) -> tuple[PatientId, ...]:
    """
    Return the identifiers that the statement is kept under; the others are left out with a warning each.

    An INS counts where its identity is qualified: by the status that the Patient carries, else by the source's grant (D-19).

    Source: D-1, D-19.
    """
    stated = bool(claims.reliability)
    qualified = claims.identity.is_qualified if stated else Grant.IDENTITY_ASSERTED in source.grants
    found: list[PatientId] = []
    for ins in claims.ins:
        if qualified and ins.authority in roots(environment) and is_matricule(ins.value):
            found.append(ins)
        else:
            findings.warn("INS_UNQUALIFIED_DROPPED", ins.place)
    for local in claims.local:
        if local.authority.startswith(f"{source.establishment}/"):
            found.append(local)
        else:
            findings.warn("IDENTIFIER_FOREIGN", local.place)
    for place in claims.too_long:
        findings.warn("FIELD_INVALID", place, TOO_LONG)
    if not found and claims.place.path:
        findings.add("EVENT_UNUSABLE", claims.place)
    return distinct(tuple(found))


def _shown(claims: Claims) -> str | None:
    return next((known.value for known in (*claims.ins, *claims.local)), None)


def resolved(references: References, consent: Node, reference: Node) -> Node | None:
    """
    Return what a reference of a Consent leads to: a contained resource, or the identifier that it is told by.

    Nothing is looked up outside: the id of another server names nobody here.
    """
    found = references.resolve(reference, consent)
    if found.node is not None or found.identifier is None:
        return found.node
    asked = conditional(reference.text("reference") or "")
    system, value = found.identifier
    kind = asked[0] if asked is not None else reference.text("type")
    return Node({"resourceType": kind or "", "system": system, "value": value}, reference.path)


def _check_scope(consent: Node, findings: Findings) -> None:
    scope = consent.one("scope")
    codes = {coding.text("code") for coding in scope.all("coding") if coding.text("system") == _SCOPES} if scope else set()
    if codes != {_PRIVACY}:
        findings.add("CONSENT_UNCLEAR", consent.place("scope"), f"scope: {_PRIVACY}")


def _collected(consent: Node, rule: Node, findings: Findings) -> tuple[When | None, str]:
    """Return when it was stated: `dateTime`, or the start of the period for which it is given where that is later (O-3)."""
    period = rule.one("period")
    stated = when(consent.text("dateTime"))
    begins = None if period is None else when(period.text("start"))
    if stated is None:
        findings.warn("FHIR_UNUSUAL", consent.place("dateTime"), "no dateTime: the reception counts")
    if begins is not None and (stated is None or begins.start > stated.start):
        return begins, "Consent.provision.period.start"
    return stated, "Consent.dateTime" if stated is not None else ""


@dataclass(frozen=True)
class _Side:
    """Whose side a Consent is of."""

    references: References

    side: ClassVar[Side]

    def stated_by(self, consent: Node, findings: Findings) -> StatedBy:
        """Return who made the statement."""
        raise NotImplementedError

    def bound(self, rule: Node, said: Sequence[Said], findings: Findings) -> tuple[Said, ...]:
        """Return what is said with what it binds on this side."""
        raise NotImplementedError


class _PatientsDoor(_Side):
    """The patient's own door: what it names is bound."""

    side: ClassVar[Side] = Side.PATIENT

    def stated_by(self, consent: Node, findings: Findings) -> StatedBy:
        """Return the patient or their representative, as `performer` tells; nobody else speaks for them here."""
        found = StatedBy.PATIENT
        for performer in consent.all("performer"):
            who = resolved(self.references, consent, performer)
            kind = (who.type if who is not None else "") or performer.text("type")
            kind = kind or (performer.text("reference") or "").partition("/")[0]
            stated_by = _STATED_BY.get(kind)
            if stated_by is None:
                findings.add("CONSENT_UNCLEAR", performer.place(), "performer: the patient or a RelatedPerson")
            elif stated_by is StatedBy.REPRESENTATIVE:
                found = stated_by
        return found

    def bound(self, rule: Node, said: Sequence[Said], findings: Findings) -> tuple[Said, ...]:
        """Return what is said; who may read is not stated here."""
        for one in said:
            if one.right is Right.CONSULTATION:
                findings.add("CONSENT_RESTRICTION", rule.place("action"), "access: a team's, told to its establishment")
                break
        return tuple(said)


@dataclass(frozen=True)
class _Establishment(_Side):
    """An establishment: it states for its own deposits and its own team."""

    source: Source
    directory: Directory

    side: ClassVar[Side] = Side.ESTABLISHMENT

    def stated_by(self, consent: Node, findings: Findings) -> StatedBy:
        """Return the establishment; another one, or another site than its own, that `organization` names is refused."""
        own = {self.source.establishment, self.directory.side(self.source)}
        for reference in consent.all("organization"):
            who = resolved(self.references, consent, reference)
            for identifier in () if who is None else provision.identifiers(who):
                key = provision.establishment_of(identifier.text("value") or "", self.directory)
                if key is not None and key not in own:
                    findings.add("CONSENT_NOT_OWN", reference.place(), "organization")
        return StatedBy.ESTABLISHMENT

    def bound(self, rule: Node, said: Sequence[Said], findings: Findings) -> tuple[Said, ...]:
        """Return what is said of its own: without an actor all its deposits, in the series of its ZFA-9."""
        own = self.directory.side(self.source)
        if rule.has("provision"):
            findings.add("CONSENT_RESTRICTION", rule.place("provision"), "exceptions: of the patient's own side only")
        found = []
        for one in said:
            target = one.target
            if target.scope is Scope.ESTABLISHMENT and target.value != own:
                findings.add("CONSENT_NOT_OWN", target.place, "actor")
            narrower = target.scope not in {Scope.ALL, Scope.ESTABLISHMENT}
            if narrower and (one.right is Right.CONSULTATION or own != self.source.establishment):
                findings.add("CONSENT_RESTRICTION", target.place, "of a team's access, or of one site")
            if narrower:
                found.append(one)
                continue
            if target.scope is Scope.ALL:
                findings.add("CONSENT_OWN_ONLY", rule.place("actor"), severity=Severity.INFORMATION)
            value = self.source.establishment if one.right is Right.CONSULTATION else own
            found.append(Said(one.right, one.position, provision.Target(Scope.ESTABLISHMENT, value, target.place)))
        return tuple(found)
