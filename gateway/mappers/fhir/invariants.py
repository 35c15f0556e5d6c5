"""
Rules across elements that the library does not test, those that change what a resource means.

Source: HL7 FHIR R4 (ext-1, dom-2, dom-3, bdl-7, obs-6, ait-1, ait-2), extensibility.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from gateway.mappers.common.findings import Findings
from gateway.mappers.fhir.walk import Node
from gateway.model.problem import Severity

#: Resources that are read as what they say of the deposit: nothing unknown may change their meaning. Of others a modifier keeps
#: the resource out of the entries, not the document out of the record.
_DEPOSIT: Final = frozenset({"Bundle", "List", "DocumentReference", "Binary", "Parameters", "Patient", "Composition", "Consent"})


def check(root: Node, findings: Findings) -> None:
    """
    Check a resource and all that it holds.

    Args:
        root: The resource, its types and codes right.
        findings: Takes FHIR_INVARIANT, FHIR_REQUIRED, FHIR_MODIFIER, and FHIR_UNUSUAL as a warning.
    """
    stack = [(root, root)]
    while stack:
        node, resource = stack.pop()
        if node.type:
            resource = node
            _resource(node, findings)
        _modifiers(node, resource, findings)
        for name, child in node.children():
            if name in {"extension", "modifierExtension"}:
                _extension(child, findings)
            stack.append((child, resource))


def _resource(node: Node, findings: Findings) -> None:
    _contained(node, findings)
    rule = _RULES.get(node.type)
    if rule is not None:
        rule(node, findings)


def _modifiers(node: Node, resource: Node, findings: Findings) -> None:
    if node.has("implicitRules"):
        findings.add("FHIR_MODIFIER", node.place("implicitRules"), "implicitRules")
    severity = Severity.ERROR if resource.type in _DEPOSIT else Severity.WARNING
    for each in node.all("modifierExtension"):
        findings.add("FHIR_MODIFIER", each.place("url"), "modifierExtension", severity=severity)


def _extension(node: Node, findings: Findings) -> None:
    has_value = any(name.startswith(("value", "_value")) for name in node.value)
    if has_value is node.has("extension"):
        findings.add("FHIR_INVARIANT", node.place(), "ext-1: a value or extensions, one of both")


def _contained(node: Node, findings: Findings) -> None:
    inside = node.all("contained")
    if not inside:
        return
    ids = Counter(each.text("id") for each in inside)
    used = {each.text("reference") for each in node.below()}
    for each in inside:
        known = each.text("id")
        if each.has("contained"):
            findings.add("FHIR_INVARIANT", each.place("contained"), "dom-2: contained in contained")
        if known is None:
            findings.add("FHIR_REQUIRED", each.place("id"), "id")
        elif ids[known] > 1:
            findings.add("FHIR_INVARIANT", each.place("id"), "two contained resources with one id")
        elif f"#{known}" not in used and not any((one.text("reference") or "").startswith("#") for one in each.below()):
            findings.warn("FHIR_UNUSUAL", each.place("id"), "dom-3: nothing refers to this contained resource")


def _bundle(node: Node, findings: Findings) -> None:
    seen: set[tuple[str, str | None]] = set()
    for entry in node.all("entry"):
        url = entry.text("fullUrl")
        if url is None:
            continue
        meta = entry.one("resource", "meta")
        key = (url, None if meta is None else meta.text("versionId"))
        if key in seen:
            findings.add("FHIR_INVARIANT", entry.place("fullUrl"), "bdl-7: two entries with one fullUrl")
        seen.add(key)


def _observation(node: Node, findings: Findings) -> None:
    if node.has("dataAbsentReason") and any(name.startswith("value") for name in node.value):
        findings.add("FHIR_INVARIANT", node.place("dataAbsentReason"), "obs-6: a value, and the reason of its absence")


def _allergy(node: Node, findings: Findings) -> None:
    coding = node.one("verificationStatus", "coding")
    is_error = coding is not None and coding.text("code") == "entered-in-error"
    if is_error and node.has("clinicalStatus"):
        findings.add("FHIR_INVARIANT", node.place("clinicalStatus"), "ait-2: clinicalStatus of what was entered in error")
    elif not is_error and not node.has("clinicalStatus"):
        findings.warn("FHIR_UNUSUAL", node.place("clinicalStatus"), "ait-1: no clinicalStatus")


_RULES: Final[Mapping[str, Callable[[Node, Findings], None]]] = MappingProxyType(
    {"Bundle": _bundle, "Observation": _observation, "AllergyIntolerance": _allergy}
)
