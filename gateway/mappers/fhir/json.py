"""
Bytes to a tree of FHIR JSON, within limits: what the library would let pass is refused here.

Duplicate keys, NaN, numbers without end, text that no backend holds, and base64 that loses bytes end before the model is asked.
Documents in base64 are decoded here once and taken out of the tree: a model would carry and copy them.

Source: HL7 FHIR R4, json; RFC 8259; D-11, D-21.
"""

import codecs
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Self

from gateway.mappers.common.carrier import Carried, NotBase64, decode
from gateway.model.base import storable
from gateway.model.place import Place
from gateway.model.problem import Problem, Severity, Unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one body may cost to read."""

    #: Objects and arrays inside each other.
    depth_limit: int = 64
    #: Commas, colons, braces and brackets: never fewer than the values and names of the body.
    marks_limit: int = 1_000_000


LIMITS: Final = Limits()

#: Characters of a number; its exponent. Arithmetic on what is beyond them would not end.
_LONGEST_NUMBER: Final = 32
_EXPONENT: Final = re.compile(r"[eE]([+-]?)0*(\d*)$", re.ASCII)
_LARGEST_EXPONENT: Final = 30

#: What stands in the tree in place of a document: valid base64, and short.
PLACEHOLDER: Final = "AAAA"

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
#: Elements that hold base64, however long; `hash` is compared as it stands.
_BASE64_KEYS: Final = frozenset({"data", "valueBase64Binary"})


class Number(Decimal):
    """A decimal with the digits as written: 1.950 is not 1.95 (D-21)."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        """Make it of a JSON number within the limits."""
        self = super().__new__(cls, text)
        self.text = text
        return self


class _Refused:
    """Stands where a value cannot be taken, until the walk knows its path."""

    __slots__ = ("code", "detail")

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    A body, read as JSON.

    Attributes:
        tree: The value; documents are replaced by `PLACEHOLDER`.
        blobs: The bytes of each such value by its path, in the order of the body.
        problems: Warnings: null and empty arrays, which were left out.
        payload: The body as received.
    """

    tree: Any
    blobs: Mapping[str, "Blob"]
    problems: tuple[Problem, ...]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Blob:
    """
    A document in base64.

    Attributes:
        content: Its bytes.
        carried: Its span in the body, if it stands there character by character.
    """

    content: bytes
    carried: Carried | None


def load(payload: bytes, *, limits: Limits = LIMITS) -> Loaded:
    """
    Read a body as JSON.

    Args:
        payload: The body, capped by the door; UTF-8, with or without byte-order mark.
        limits: Depth and size of the tree.

    Returns:
        The tree, the documents in it, and warnings (FHIR_UNUSUAL).

    Raises:
        Unreadable: JSON_INVALID (not UTF-8, not JSON, a duplicate key, NaN, a number beyond the limits, no object),
            JSON_FORBIDDEN (too deep, too many values), UNSTORABLE_TEXT, BASE64_INVALID; with line and column, or the path.
    """
    marks = sum(payload.count(mark) for mark in (b",", b":", b"{", b"[")) if len(payload) > limits.marks_limit else 0
    if marks > limits.marks_limit:
        raise _unreadable("JSON_FORBIDDEN", f"over {limits.marks_limit} values")
    try:
        text = payload.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as wrong:
        line = payload.count(b"\n", 0, wrong.start) + 1
        raise _unreadable("JSON_INVALID", f"not UTF-8: byte {wrong.start}, line {line}", line) from None
    try:
        tree = _DECODER.decode(text)
    except json.JSONDecodeError as wrong:
        detail = f"{_reason(wrong)}, line {wrong.lineno}, column {wrong.colno}"
        raise _unreadable("JSON_INVALID", detail, wrong.lineno) from None
    except RecursionError:
        raise _unreadable("JSON_FORBIDDEN", f"over {limits.depth_limit} levels deep") from None
    if not isinstance(tree, dict):
        raise _unreadable("JSON_INVALID", "not an object")
    walk = _Walk(payload, limits, has_escapes="\\u" in text)
    del text  # as large as the body
    walk.walk(tree, str(tree["resourceType"]) if _is_name(tree.get("resourceType")) else "$")
    if walk.errors:
        raise Unreadable(*walk.errors)
    return Loaded(tree, walk.blobs, tuple(walk.warnings), payload)


#: Problems of one body that are told.
_MOST: Final = 100


def _object(pairs: list[tuple[str, Any]]) -> Any:
    found = dict(pairs)
    if len(found) != len(pairs):
        found["\0"] = _Refused("JSON_INVALID", "a key stands twice in this object")
    return found


def _integer(text: str) -> Any:
    return int(text) if len(text) <= _LONGEST_NUMBER else _Refused("JSON_INVALID", f"a number over {_LONGEST_NUMBER} characters")


def _decimal(text: str) -> Any:
    exponent = _EXPONENT.search(text)
    if len(text) > _LONGEST_NUMBER or (exponent is not None and _is_large(exponent.group(2))):
        return _Refused("JSON_INVALID", f"a number over {_LONGEST_NUMBER} characters, or an exponent over {_LARGEST_EXPONENT}")
    return Number(text)


def _is_large(digits: str) -> bool:
    return len(digits) > len(str(_LARGEST_EXPONENT)) or int(digits or "0") > _LARGEST_EXPONENT


def _constant(_text: str) -> Any:
    return _Refused("JSON_INVALID", "NaN and Infinity are no JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_decimal, parse_constant=_constant, strict=True
)


def _reason(wrong: json.JSONDecodeError) -> str:
    """What is wrong, without a character of the body."""
    return wrong.msg.partition(":")[0][:60]


def _is_name(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _unreadable(code: str, detail: str, line: int | None = None) -> Unreadable:
    return Unreadable(Problem(code=code, place=Place(path="$", line=line), detail=detail))


class _Some(list[Problem]):
    """The first problems of a body: one of a hundred thousand costs no more than they do."""

    def append(self, problem: Problem, /) -> None:
        """Take a problem while there is room."""
        if len(self) < _MOST:
            super().append(problem)


class _Walk:
    """One walk over a tree: paths, limits, what is to be left out, documents."""

    def __init__(self, payload: bytes, limits: Limits, *, has_escapes: bool) -> None:
        self._payload = payload
        self._limits = limits
        self._has_escapes = has_escapes
        self._from = 0
        self.errors: list[Problem] = _Some()
        self.warnings: list[Problem] = _Some()
        self.blobs: dict[str, Blob] = {}

    def walk(self, tree: dict[str, Any], root: str) -> None:
        """Walk in the order of the body, without recursion."""
        stack: list[tuple[Any, str, int]] = [(tree, root, 1)]
        while stack:
            value, path, depth = stack.pop()
            if depth > self._limits.depth_limit:
                self.errors = [_problem("JSON_FORBIDDEN", path, f"over {self._limits.depth_limit} levels deep")]
                return
            below = self._object(value, path) if isinstance(value, dict) else self._array(value, path)
            stack += [(child, at, depth + 1) for child, at in reversed(below)]

    def _object(self, value: dict[str, Any], path: str) -> list[tuple[Any, str]]:
        below: list[tuple[Any, str]] = []
        for key in list(value):
            child = value[key]
            if isinstance(child, _Refused):
                at = path if key == "\0" else self._path(path, key)
                self.errors.append(_problem(child.code, at, child.detail))
                continue
            at = self._path(path, key)
            if child is None or child == []:
                self.warnings.append(
                    Problem(
                        code="FHIR_UNUSUAL",
                        severity=Severity.WARNING,
                        place=Place(path=at),
                        detail="null: left out" if child is None else "empty array: left out",
                    )
                )
                del value[key]
            elif isinstance(child, dict | list):
                below.append((child, at))
            elif isinstance(child, str):
                self._text(value, key, child, at)
        return below

    def _array(self, value: list[Any], path: str) -> list[tuple[Any, str]]:
        below: list[tuple[Any, str]] = []
        for index, child in enumerate(value):
            at = f"{path}[{index}]"
            if isinstance(child, _Refused):
                self.errors.append(_problem(child.code, at, child.detail))
            elif isinstance(child, dict | list):
                below.append((child, at))
            elif isinstance(child, str):
                self._storable(child, at)
        return below

    def _path(self, path: str, key: str) -> str:
        """Return the FHIRPath of a child; a key that is no name is not repeated, and refuses the body."""
        if _NAME.fullmatch(key) is None:
            self.errors.append(_problem("JSON_INVALID", path, "a key that is no name of an element"))
            return path
        return f"{path}.{key}"

    def _text(self, parent: dict[str, Any], key: str, text: str, path: str) -> None:
        if key not in _BASE64_KEYS or not text or "origin" in parent:  # SampledData.data is no base64
            self._storable(text, path)
            return
        try:
            raw = text.encode("ascii")
        except UnicodeEncodeError as wrong:
            self.errors.append(_problem("BASE64_INVALID", path, f"character {wrong.start}"))
            return
        content = self._decoded(raw, path)
        if content is None:
            return
        parent[key] = PLACEHOLDER
        self.blobs[path] = content

    def _decoded(self, raw: bytes, path: str) -> Blob | None:
        try:
            decoded = decode(raw, b"")
        except NotBase64 as refused:
            self.errors.append(_problem("BASE64_INVALID", path, f"character {refused.offset}"))
            return None
        # In its canonical form there is no blank to take out of it.
        if (decoded.padding is None or len(raw) % 4) and len(raw.translate(None, b"\r\n ")) % 4:
            self.errors.append(_problem("BASE64_INVALID", path, "padding"))
            return None
        start = self._payload.find(b'"' + raw + b'"', self._from)
        if start < 0:
            return Blob(decoded.content, None)
        self._from = start + len(raw) + 2
        return Blob(decoded.content, Carried(decoded, start + 1, start + 1 + len(raw)))

    def _storable(self, text: str, path: str) -> None:
        if not self._has_escapes:
            return  # NUL and lone surrogates come by \u only
        try:
            storable(text)
        except ValueError as refused:
            self.errors.append(_problem("UNSTORABLE_TEXT", path, str(refused)))


def _problem(code: str, path: str, detail: str) -> Problem:
    return Problem(code=code, place=Place(path=path), detail=detail)
