"""What an event may use of the identity in it; the rest is left out with a warning, and costs the event nothing (D-1)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from gateway.mappers.common.findings import Findings
from gateway.mappers.hl7v2.patient import TOO_LONG, Claims, PidReading
from gateway.model.ins import is_matricule, roots
from gateway.model.patient import PatientId
from gateway.model.problem import Severity

#: The warnings that an unreadable trait becomes: an event is applied without it.
_TOLERATED: Final[Mapping[str, str]] = MappingProxyType({"FIELD_INVALID": "DATE_INVALID"})


def is_sound(claim: PatientId, environment: str) -> bool:
    """Tell whether an INS has a root that the environment takes, and its key."""
    return claim.authority in roots(environment) and is_matricule(claim.value)


def usable(claims: Claims | PidReading, environment: str, findings: Findings, *, qualified: bool) -> tuple[PatientId, ...]:
    """
    Return the identifiers that an event may use; the others are left out with a warning each.

    Args:
        claims: Of PID-3 or MRG-1.
        environment: `production` or `test`: which roots are taken.
        findings: Takes the warnings.
        qualified: The identity is under VALI: only then its INS counts (PAM p.42). What an INS was needs no status.

    Source: D-1; PAM p.42.
    """
    found: list[PatientId] = []
    for claim in claims.ins:
        if qualified and is_sound(claim, environment):
            found.append(claim)
        else:
            findings.warn("INS_UNQUALIFIED_DROPPED", claim.place)
    found += claims.own
    for place in claims.too_long:
        findings.warn("FIELD_INVALID", place, TOO_LONG)
    for foreign in claims.foreign:
        findings.warn("IDENTIFIER_FOREIGN", foreign.place)
    return tuple(found)


def tell_traits(pid: PidReading, findings: Findings) -> None:
    """Warn of each trait that cannot be read: it is left out."""
    findings.take(
        msgspec.structs.replace(problem, code=_TOLERATED.get(problem.code, problem.code), severity=Severity.WARNING)
        for problem in pid.problems
    )
