"""
Required codes that the library does not list whole, by type and element.

The library knows the codes of an element from its short description ("registered | preliminary | final | amended +"); where that
is cut, or says nothing, they stand here.

Source: HL7 FHIR R4, the value sets bound as required.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_COMPARATORS: Final = frozenset({"<", "<=", ">=", ">"})
_OBSERVED: Final = frozenset({
    "registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown",
})  # fmt: skip

REQUIRED: Final[Mapping[tuple[str, str], frozenset[str]]] = MappingProxyType({
    ("Observation", "status"): _OBSERVED,
    ("DiagnosticReport", "status"): _OBSERVED | {"partial", "appended"},
    ("Encounter", "status"): frozenset({
        "planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "entered-in-error", "unknown",
    }),
    ("DeviceUseStatement", "status"): frozenset({"active", "completed", "entered-in-error", "intended", "stopped", "on-hold"}),
    ("Quantity", "comparator"): _COMPARATORS,
    ("Age", "comparator"): _COMPARATORS,
    ("Duration", "comparator"): _COMPARATORS,
    ("Composition", "confidentiality"): frozenset({"U", "L", "M", "N", "R", "V"}),
})  # fmt: skip
