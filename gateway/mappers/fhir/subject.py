"""
Whose deposit it is: every subject of the request, together, as the identity gate takes it.

Source: PDSm 3.1; D-19.
"""

from collections.abc import Sequence

import msgspec

from gateway.mappers.cda.read import CdaReading
from gateway.mappers.common import gate
from gateway.mappers.common.authorities import distinct
from gateway.mappers.common.findings import Findings
from gateway.mappers.fhir import identity
from gateway.mappers.fhir.identity import Claims
from gateway.mappers.fhir.references import References
from gateway.mappers.fhir.walk import Node
from gateway.model.patient import QUALIFIED, PatientIdentity, Traits
from gateway.model.place import Place
from gateway.model.source import Directory, Grant, Source


class Subjects:
    """Gathers what a request says of its patient."""

    def __init__(self, references: References, source: Source, directory: Directory, findings: Findings) -> None:
        """Read as this source says it; references that fail are told."""
        self._references = references
        self._source = source
        self._directory = directory
        self._findings = findings
        self._claims: list[Claims] = []
        #: The sender's own view of the patient: local numbers and traits, never the INS by which the deposit goes.
        self._views: list[Claims] = []

    def add(self, reference: Node | None, holder: Node, name: str) -> None:
        """Read a subject: FHIR_REQUIRED, FHIR_REFERENCE, or FHIR_UNUSUAL as a warning."""
        if reference is None:
            self._findings.add("FHIR_REQUIRED", holder.place(name), name)
        else:
            self._claims += self._read(reference, holder)

    def view(self, reference: Node | None, holder: Node) -> None:
        """Read sourcePatientInfo, or the extension ihe-sourcePatientId."""
        if reference is not None:
            self._views += self._read(reference, holder)

    def _read(self, reference: Node, holder: Node) -> list[Claims]:
        found = self._references.resolve(reference, holder)
        at = reference.place("reference") if reference.has("reference") else reference.place()
        if found.failed:
            self._findings.add("FHIR_REFERENCE", at, found.failed)
        if found.unusual:
            self._findings.warn("FHIR_UNUSUAL", at, found.unusual)
        if found.node is not None and found.node.type != "Patient":
            self._findings.add("FHIR_REFERENCE", at, "no Patient")
            return []
        read: list[Claims] = []
        if found.node is not None:
            read.append(identity.of_patient(found.node, self._source, self._directory))
        if found.identifier is not None:
            read.append(identity.of_identifier(found.identifier, found.kinds, at, self._source, self._directory))
        return read or [Claims(at)]

    @property
    def shown(self) -> str | None:
        """The identifier for an operator's list: the INS, else a local one."""
        every = [*self._claims, *self._views]
        numbers = [known for claims in every for known in claims.ins] + [known for claims in every for known in claims.local]
        return numbers[0].value if numbers else None

    def check(self, documents: Sequence[tuple[int, CdaReading]], at: Place, environment: str) -> PatientIdentity:
        """
        Pass the deposit through the identity gate.

        Args:
            documents: Each document that could be read, with its index.
            at: Where a subject should stand.
            environment: `production` or `test`.

        Returns:
            The identity of the deposit.
        """
        transport = self._transport([cda for _, cda in documents], at)
        whose = gate.check(transport, documents, None, environment, self._findings)
        admitted = {known.key for known in transport.ins}
        for view in self._views:
            other = next((claim for claim in view.ins if claim.key not in admitted), None)
            if other is not None and admitted:
                self._findings.add("PID_CDA_DIFFER", other.place, "sourcePatientInfo against subject")
        return whose

    def _transport(self, documents: Sequence[CdaReading], at: Place) -> gate.Transport:
        every = [*self._claims, *self._views]
        ins = distinct(tuple(known for claims in self._claims for known in claims.ins))
        local = tuple(known for claims in every for known in claims.local)
        told = next((claims for claims in every if claims.reliability), None)
        statuses = tuple(dict.fromkeys(status for claims in every for status in claims.reliability))
        traits, places = _traits(every, documents, {known.key for known in ins})
        stands = next((claims.place for claims in every if claims.traits != Traits()), None)
        stands = stands or next((claims.place for claims in self._views), at)
        if told is None:
            is_qualified = Grant.IDENTITY_ASSERTED in self._source.grants
            unqualified = "no status: the source needs the grant identity_asserted"
        else:
            is_qualified = set(statuses) == {QUALIFIED}
            unqualified = f"the status was read as {told.dialect}" if told.dialect else "a status without system"
        return gate.Transport(
            identity=PatientIdentity(
                identifiers=distinct((*(known for known in ins if known.is_ins), *local)),
                traits=traits,
                reliability=statuses,
                places=places,
            ),
            ins=ins,
            perhaps=tuple(known for claims in every for known in claims.perhaps),
            is_qualified=is_qualified,
            unqualified=unqualified,
            identifiers_at=next((claims.place for claims in self._claims), at),
            status_at=places.get("reliability") or stands,
            strict=tuple(
                gate.Strict(trait=trait, name=name, place=Place(path=f"{stands.path}.{element}"))
                for trait, name, element in identity.STRICT
            ),
            too_long=tuple(place for claims in every for place in claims.too_long),
            too_long_is=identity.TOO_LONG,
        )


def _traits(
    every: Sequence[Claims], documents: Sequence[CdaReading], ins: set[tuple[str, str]]
) -> tuple[Traits, dict[str, Place]]:
    """
    Return the traits that the request gives; one that it does not give is the document's.

    Only of a document that carries the INS itself: one without is compared by the traits of the request (D-19).
    """
    carrying = [whose for cda in documents for whose in cda.patients if {known.key for known in whose.ins} & ins]
    places: dict[str, Place] = {}
    stated: dict[str, object] = {}
    given: list[Claims | PatientIdentity] = [*every, *carrying]
    for one in given:
        for name in Traits.__struct_fields__:
            value = getattr(one.traits, name)
            if value is None or name in stated:
                continue
            stated[name] = value
            if (place := one.places.get(f"traits.{name}")) is not None:
                places[f"traits.{name}"] = place
        if (place := one.places.get("reliability")) is not None:
            places.setdefault("reliability", place)
    return msgspec.structs.replace(Traits(), **stated), places
