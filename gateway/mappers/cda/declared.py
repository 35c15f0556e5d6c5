"""
What a sender declares beside a CDA, which the document itself does not say: act, flags, sender, visit, content type.

In headers of the request, or in the part `submission` of a multipart one, as JSON; a fact that is said in both is said twice.

Source: docs/cda.md; ANS Trans. CDA en HL7v2 2.1, meta-dmp-mss (the flags).
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec

from gateway.mappers.common.findings import Findings
from gateway.mappers.common.flags import SPELLINGS
from gateway.model.base import Model
from gateway.model.place import Place
from gateway.model.submission import Act, Flags

#: Bytes of the part `submission`.
LONGEST_PART: Final = 65_536
#: The flags that a sender sets by naming them. Whatever is posted is for the record (DESTDMP), and secure mail is another door.
FLAGS: Final = ("MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REP_LEGAUX", "CONNEXION_SECRETE", "MODIF_CONF_CODE")

_NUMBER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./_-]{0,63}", re.ASCII)
_CODE: Final = re.compile(r"[A-Za-z0-9._-]{1,32}", re.ASCII)
#: Names of people and organisations: what is no control character, line end or mark that turns the direction of writing.
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]{1,200}")


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One fact that may be declared: its header, its place in the part `submission`, and the form of its value."""

    #: Name of it here.
    name: str
    #: The header of the request; empty: only the part can say it.
    header: str
    #: Keys that lead to it in the part.
    keys: tuple[str, ...]
    form: re.Pattern[str]
    #: What it says, for the docs.
    means: str
    example: str


#: Everything that may be declared, but for the flags.
FACTS: Final = (
    Fact(
        name="act",
        header="DMP-Act",
        keys=("act",),
        form=_CODE,
        means="`add`, `replace` or `delete`. Absent: `replace` if the document has a `relatedDocument` of type RPLC, else `add`.",
        example="replace",
    ),
    Fact(
        name="organization",
        header="DMP-Sender-Organization",
        keys=("sender", "organization"),
        form=_NUMBER,
        means="Who sends: number of the organisation, a FINESS with or without its leading 1. Absent: the source's own.",
        example="1990000018",
    ),
    Fact(
        name="organization_name",
        header="",
        keys=("sender", "organization_name"),
        form=_NAME,
        means="Its name.",
        example="CHU de Valmont",
    ),
    Fact(
        name="professional",
        header="DMP-Sender-Professional",
        keys=("sender", "professional"),
        form=_NUMBER,
        means="The person who sends: RPPS, with or without its leading 8. Absent: an application sends, nobody in person.",
        example="899900000017",
    ),
    Fact(
        name="family",
        header="",
        keys=("sender", "family"),
        form=_NAME,
        means="Family name of that person.",
        example="MAILLARD",
    ),
    Fact(
        name="given",
        header="",
        keys=("sender", "given"),
        form=_NAME,
        means="Given name of that person.",
        example="Odile",
    ),
    Fact(
        name="visit",
        header="DMP-Visit",
        keys=("visit",),
        form=_NUMBER,
        means="Number of the visit (PV1-19 of the hospital's messages).",
        example="26000123",
    ),
    Fact(
        name="content_type",
        header="DMP-Content-Type-Code",
        keys=("content_type",),
        form=_CODE,
        means="contentTypeCode of the submission set (JDV_J59). Absent: the source's `content_type`.",
        example="03",
    ),
)

#: The header of the flags: names, separated by commas.
FLAGS_HEADER: Final = "DMP-Flags"
#: What headers of ours begin with. Another name that begins so is a slip: what `DMP-Flag` should have hidden would be shown.
_OURS: Final = ("dmp-", "x-dmp-")
#: Those that the door reads itself, and every one that is read here.
_KNOWN: Final = frozenset(
    {"x-dmp-source", "dmp-message-id", FLAGS_HEADER.lower(), *(fact.header.lower() for fact in FACTS if fact.header)}
)
_HEADER: Final = re.compile(r"[a-z-]{1,64}", re.ASCII)
_ACTS: Final[Mapping[str, Act]] = MappingProxyType({act.value: act for act in Act})
_PART: Final = "submission"


class Declared(Model, frozen=True, kw_only=True):
    """What a sender declares; None or empty: nothing."""

    act: Act | None = None
    flags: Flags = Flags(destdmp=True)
    organization: str | None = None
    organization_name: str | None = None
    professional: str | None = None
    family: str | None = None
    given: str | None = None
    visit: str | None = None
    content_type: str | None = None
    #: Place of each of them by its name, and of each flag by ``flags.masque_ps``.
    places: Mapping[str, Place] = {}

    @property
    def flag_places(self) -> dict[str, Place]:
        """Places of the flags by their code."""
        return {name.removeprefix("flags.").upper(): place for name, place in self.places.items() if name.startswith("flags.")}


def read(headers: Mapping[str, str], part: bytes | None, findings: Findings) -> Declared:
    """
    Read what is declared.

    Args:
        headers: Of the request, by lower-case name.
        part: The part `submission` of a multipart request.
        findings: Takes VALUE_UNKNOWN (an act, a flag), FIELD_INVALID (a value without its form, a fact said twice, a part that is
            no JSON or says what is no fact, a header of ours that there is not).

    Returns:
        What could be read; places are ``header:DMP-Act`` and ``submission/sender/organization``.
    """
    said: dict[str, tuple[str, Place]] = {}
    flags: list[tuple[str, Place]] = []
    for fact in FACTS:
        written = headers.get(fact.header.lower()) if fact.header else None
        if written is not None:
            _say(said, fact, written.strip(), _header(fact.header), findings)
    written = headers.get(FLAGS_HEADER.lower())
    if written is not None:
        flags += [(name.strip(), _header(FLAGS_HEADER)) for name in written.split(",") if name.strip()]
    for name in sorted(headers.keys() - _KNOWN):
        if name.startswith(_OURS):
            findings.add("FIELD_INVALID", _header(name if _HEADER.fullmatch(name) else "…"), "no such header")
    if part is not None:
        _read_part(part, said, flags, findings)
    values = {name: value for name, (value, _) in said.items()}
    places = {name: place for name, (_, place) in said.items()}
    act = values.pop("act", None)
    if act is not None and act not in _ACTS:
        findings.add("VALUE_UNKNOWN", places["act"], "add, replace or delete")
    chosen = _flags(flags, places, findings)
    return Declared(act=_ACTS.get(act or ""), flags=chosen, places=places, **values)


def _header(name: str) -> Place:
    return Place(path=f"header:{name}")


def _say(said: dict[str, tuple[str, Place]], fact: Fact, written: str, place: Place, findings: Findings) -> None:
    if not fact.form.fullmatch(written):
        findings.add("FIELD_INVALID", place, fact.name)
    elif fact.name in said:
        findings.add("FIELD_INVALID", place, f"{fact.name}: said twice")
    else:
        said[fact.name] = (written, place)


def _flags(written: Iterable[tuple[str, Place]], places: dict[str, Place], findings: Findings) -> Flags:
    chosen: dict[str, bool] = {}
    for name, place in written:
        code = SPELLINGS.get(name.upper(), name.upper())
        if code not in FLAGS:
            findings.add("VALUE_UNKNOWN", place, "one of " + ", ".join(FLAGS))
            continue
        chosen[code.lower()] = True
        places.setdefault(f"flags.{code.lower()}", place)
    return Flags(destdmp=True, **chosen)


def _read_part(part: bytes, said: dict[str, tuple[str, Place]], flags: list[tuple[str, Place]], findings: Findings) -> None:
    """Read the part `submission`, strictly: a name that is no fact, or stands twice, is a mistake of the sender's program."""
    try:
        whole = _object(part)
    except ValueError as wrong:
        findings.add("FIELD_INVALID", Place(path=_PART), str(wrong))
        return
    known = {fact.keys: fact for fact in FACTS}
    for keys, value in _leaves(whole, ()):
        place = Place(path="/".join((_PART, *keys)))
        fact = known.get(keys)
        if keys == ("flags",):
            _named(value, flags, place, findings)
        elif fact is None:
            findings.add("FIELD_INVALID", Place(path=_shown(keys)), "no such name")
        elif isinstance(value, str):
            _say(said, fact, value, place, findings)
        else:
            findings.add("FIELD_INVALID", place, f"{fact.name}: no text")


def _named(value: object, flags: list[tuple[str, Place]], place: Place, findings: Findings) -> None:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value) or len(value) > len(FLAGS) * 2:
        findings.add("FIELD_INVALID", place, "flags: a list of names")
        return
    flags += [(name, Place(path=f"{place.path}/{number}")) for number, name in enumerate(value)]


def _leaves(value: Mapping[str, Any], above: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], object]]:
    for name, inner in value.items():
        keys = (*above, name)
        if keys == ("sender",) and isinstance(inner, dict):
            yield from _leaves(inner, keys)
        else:
            yield keys, inner


def _shown(keys: Sequence[str]) -> str:
    """Return where a name stands that is none of ours: not repeated unless it looks like a name."""
    return "/".join((_PART, *(key if _CODE.fullmatch(key) else "…" for key in keys)))


def _object(part: bytes) -> dict[str, Any]:
    if len(part) > LONGEST_PART:
        raise ValueError(f"over {LONGEST_PART} bytes")
    try:
        text = part.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    try:
        found = json.loads(
            text, object_pairs_hook=_once, parse_constant=_refuse("no JSON"), parse_int=_no_text, parse_float=_no_text
        )
    except (json.JSONDecodeError, RecursionError):
        raise ValueError("no JSON") from None
    if not isinstance(found, dict):
        raise ValueError("no object")  # noqa: TRY004 - what came over the wire is of the wrong form, not of the wrong type here
    return found


def _no_text(_: str) -> None:
    """Stand for a number: none is a fact, and none is computed."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refuse(reason: str) -> Callable[[str], object]:
    def refuse(_: str) -> object:
        raise ValueError(reason)

    return refuse
