"""
Is it FHIR R4? Asked once, at the door, of the library's R4B models, and of our own checks where they say yes to what is none.

Source: HL7 FHIR R4; the differences of R4B touch no resource that is read here.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fhir.resources.R4B import fhirtypes, get_fhir_model_class
from fhir.resources.R4B.resource import Resource
from fhir_core.fhirabstractmodel import FHIRAbstractModel
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.mappers.common.findings import Findings
from gateway.mappers.fhir.codes import REQUIRED
from gateway.mappers.fhir.invariants import check as check_invariants
from gateway.mappers.fhir.json import Loaded
from gateway.mappers.fhir.walk import Node
from gateway.model.place import Place

#: Elements that hold a resource.
_HOLDERS: Final = frozenset({"resource", "contained", "outcome"})
#: Names that the library takes for its own.
_FOREIGN: Final = frozenset({"fhir_comments"})
#: What the library calls an element that is a word of Python.
_SUFFIX: Final = "_fhir"
#: Primitive extensions: ours `_status`, the library's `status__ext`.
_EXTENSION: Final = "__ext"
_LARGEST_INTEGER: Final = 2**31 - 1

#: Errors of the library that say: this is of another type (a date that is none has the right type and a wrong value).
_MISTYPED: Final = frozenset({"is_instance_of", "int_parsing", "decimal_parsing", "bool_parsing", "float_parsing"})

#: Resources whose first model takes the time of an import: loaded before the first request comes.
_WARM: Final = ("Bundle", "List", "DocumentReference", "Binary", "Parameters", "Patient", "Practitioner", "PractitionerRole",
                "Organization", "Device", "Composition", "Consent", "Observation", "DiagnosticReport")  # fmt: skip


@functools.cache
def warm_up() -> None:
    """Load the models of what doors read, once a process: the first request then costs what the next one does."""
    for name in _WARM:
        model = get_fhir_model_class(name)
        _fields(model)
        try:
            model.model_validate({"resourceType": name})
        except ValidationError:  # most of them lack something: the model is built all the same
            continue


def validate(loaded: Loaded, findings: Findings) -> Node | None:
    """
    Validate a body.

    Args:
        loaded: The body as JSON.
        findings: Takes FHIR_UNSUPPORTED (no such resource), FHIR_STRUCTURE, FHIR_REQUIRED, FHIR_VALUE, FHIR_CODE, FHIR_INVARIANT,
            FHIR_MODIFIER, and FHIR_UNUSUAL as a warning, each with its FHIRPath.

    Returns:
        The resource; None if it is none, or its structure is so far from FHIR that nothing of it may be read.
    """
    findings.take(loaded.problems)
    tree = loaded.tree
    if "resourceType" not in tree:
        findings.add("FHIR_REQUIRED", Place(path="resourceType"), "resourceType")
        return None
    root = Node(tree, tree["resourceType"] if is_resource(tree["resourceType"]) else "$")
    before = len(findings.errors)
    _shape(root, findings)
    if len(findings.errors) > before:
        return None
    try:
        model = get_fhir_model_class(root.type).model_validate(tree)
    except ValidationError as wrong:
        for error in wrong.errors(include_url=False, include_context=False, include_input=False):
            _tell(error, root.path, findings)
        return None
    except (KeyError, RecursionError, OverflowError, ValueError, TypeError, AttributeError):  # what the library does not expect
        findings.add("FHIR_STRUCTURE", root.place(), "not R4")
        return None
    _Strict(findings).object(tree, model, root.path)
    if len(findings.errors) > before:
        return None
    check_invariants(root, findings)
    return root


def is_resource(name: object) -> bool:
    """Tell whether there is a resource of that name."""
    return isinstance(name, str) and f"{name}Type" in vars(fhirtypes) and _is_resource(name)


@functools.cache
def _is_resource(name: str) -> bool:
    try:
        model = get_fhir_model_class(name)
    except (AttributeError, ImportError, KeyError, ValueError):
        return False
    return issubclass(model, Resource) and name not in {"Resource", "DomainResource"}


def _shape(root: Node, findings: Findings) -> None:
    """Names that the library would fall over, or take although they are none."""
    stack: list[tuple[Node, bool]] = [(root, True)]
    while stack:
        node, holds_resource = stack.pop()
        if not node.value:
            findings.add("FHIR_INVARIANT", node.place(), "an empty object")
        name = node.value.get("resourceType")
        if holds_resource and name is None:
            findings.add("FHIR_REQUIRED", node.place("resourceType"), "resourceType")
        elif holds_resource and not (isinstance(name, str) and is_resource(name)):
            findings.add("FHIR_UNSUPPORTED", node.place("resourceType"), "no such resource in R4")
        elif name is not None and not holds_resource:
            findings.add("FHIR_STRUCTURE", node.place("resourceType"), "no resource stands here")
        for key in node.value:
            if "__" in key or key.endswith(_SUFFIX) or key in _FOREIGN:
                findings.add("FHIR_STRUCTURE", node.place(key), "unknown element")
            elif key.startswith("_") and not _beside(node.value[key]):
                findings.add("FHIR_STRUCTURE", node.place(key), "extensions stand here, in an object")
        stack += [(child, key in _HOLDERS) for key, child in node.children()]


def _beside(value: object) -> bool:
    """Tell whether this may stand beside a primitive element: an object, or an array of them and of null."""
    return isinstance(value, dict) or (isinstance(value, list) and all(each is None or isinstance(each, dict) for each in value))


def _tell(error: ErrorDetails, root: str, findings: Findings) -> None:
    """Say an error of the library by our codes; its own words may hold a value."""
    path = root
    for step in error["loc"]:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step.endswith(_EXTENSION):
            path += f"._{step.removesuffix(_EXTENSION)}"
        else:
            path += f".{step.removesuffix(_SUFFIX)}"
    kind = error["type"]
    if "missing" in kind or "required" in kind:
        code, detail = "FHIR_REQUIRED", path.rpartition(".")[2]
    elif kind == "extra_forbidden":
        code, detail = "FHIR_STRUCTURE", "unknown element"
    elif kind.endswith("_type") or kind in _MISTYPED:
        code, detail = "FHIR_STRUCTURE", f"not of its type ({kind})"
    else:
        code, detail = "FHIR_VALUE", kind
    findings.add(code, Place(path=path), detail)


@dataclass(frozen=True, slots=True)
class _Field:
    """An element in the library: its attribute, and the codes that it may hold."""

    attribute: str
    codes: frozenset[str] | None


@functools.cache
def _fields(model: type[FHIRAbstractModel]) -> Mapping[str, _Field]:
    """Return the fields of a model by the name of the element."""
    found: dict[str, _Field] = {}
    for attribute, field in model.model_fields.items():
        extra = field.json_schema_extra
        listed = extra.get("enum_values") if isinstance(extra, dict) else None
        codes = REQUIRED.get((model.__name__, attribute))
        if codes is None and isinstance(listed, list) and "+" not in listed:
            codes = frozenset(str(code) for code in listed)
        found[field.alias or attribute] = _Field(attribute, codes)
    return found


class _Strict:
    """What the library read against what stands there: it takes a text for a number and a 1 for true, and any code."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def object(self, tree: Mapping[str, Any], model: FHIRAbstractModel, path: str) -> None:
        fields = _fields(type(model))
        for key, value in tree.items():
            field = fields.get(key)
            if field is not None:
                self._value(value, getattr(model, field.attribute), field.codes, f"{path}.{key}")

    def _value(self, value: Any, read: Any, codes: frozenset[str] | None, path: str) -> None:
        if isinstance(value, list) and isinstance(read, list):
            for index, (one, other) in enumerate(zip(value, read, strict=False)):
                self._value(one, other, codes, f"{path}[{index}]")
        elif isinstance(value, dict):
            if isinstance(read, FHIRAbstractModel):
                self.object(value, read, path)
        elif isinstance(value, str):
            if isinstance(read, bool | int | float) or type(read).__name__ == "Decimal":
                self._findings.add("FHIR_STRUCTURE", Place(path=path), "a text where a number or a boolean stands")
            elif codes is not None and value not in codes:
                self._findings.add("FHIR_CODE", Place(path=path), path.rpartition(".")[2])
        elif value is not None:
            self._number(value, read, path)

    def _number(self, value: Any, read: Any, path: str) -> None:
        if isinstance(value, bool) is not isinstance(read, bool):
            self._findings.add("FHIR_STRUCTURE", Place(path=path), "a number for a boolean, or a boolean for a number")
        elif isinstance(read, int) and not isinstance(value, int):
            self._findings.add("FHIR_STRUCTURE", Place(path=path), "a decimal where an integer stands")
        elif isinstance(read, int) and abs(read) > _LARGEST_INTEGER:
            self._findings.add("FHIR_VALUE", Place(path=path), "an integer over 32 bits")
