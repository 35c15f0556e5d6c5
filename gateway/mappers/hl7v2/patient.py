"""
PID: whose message it is.

Source: PAM.FR 2.11, PID; D-19.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.mappers.common.authorities import also_tested, authority_of, distinct
from gateway.mappers.common.gate import Strict, Transport
from gateway.mappers.hl7v2.tokens import Message, Repetition, Segment
from gateway.mappers.hl7v2.values import NULL, part, value, when
from gateway.model.code import Code
from gateway.model.ins import ROOTS
from gateway.model.patient import LONGEST, PatientId, PatientIdentity, Traits
from gateway.model.place import Place
from gateway.model.problem import Problem
from gateway.model.source import Directory, Source

#: CX-5 that never names a patient to us: files and visits, the billing number (perhaps a parent's), the obsolete INS-C.
IGNORED_TYPES: Final = frozenset({"AN", "VN", "NH", "INS-C"})

#: contentTypeCode of the submission set by PV1-2. Source: ANS Trans. CDA en HL7v2 2.1, mapping (JDV_J59).
CONTENT_TYPES: Final[Mapping[str, str]] = {"I": "03", "O": "07", "E": "07", "R": "19", "N": "97", "V": "97"}

_SEXES: Final = frozenset({"M", "F", "U"})

#: What is told of an identifier that is longer than any is.
TOO_LONG: Final = f"PID-3: longer than {LONGEST} characters"

#: Bytes of a value that may still be within `LONGEST` characters once it is decoded and unescaped.
_LONGEST_RAW: Final = 8 * LONGEST

#: The strict traits by field of PID. Source: D-19.
_STRICT: Final = (
    (5, "birth_name", "PID-5 type L"),
    (7, "birth_date", "PID-7"),
    (8, "sex", "PID-8"),
    (11, "birth_place", "PID-11 type BDL"),
)

#: Field, type of the repetition (component 7 of XPN and XAD), and what its components hold.
_TYPED: Final = (
    (5, "L", {1: "birth_name", 2: "first_given_name", 3: "given_names"}),
    (5, "D", {1: "used_name"}),
    (11, "BDL", {9: "birth_place"}),
)


@dataclass(frozen=True, slots=True)
class Claims:
    """
    The identifiers of a field, by what they claim to be: PID-3 of who a patient is, MRG-1 of who they were.

    Attributes:
        ins: What claims to be an INS, its root right or not.
        own: Local identifiers of the establishment of the source.
        foreign: Every other local identifier.
        perhaps: Identifiers of unsure authority under each domain that they may belong to.
        removed: Where an INS is erased (`""`).
        too_long: Identifiers that are longer than any is; they were left out.
    """

    ins: tuple[PatientId, ...]
    own: tuple[PatientId, ...]
    foreign: tuple[PatientId, ...]
    perhaps: tuple[PatientId, ...]
    removed: tuple[Place, ...]
    too_long: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class PidReading:
    """
    One PID segment, read.

    Attributes:
        segment: The segment itself.
        identity: Every identifier of the patient in its canonical form, the traits and the status.
        ins: What claims to be an INS, its root right or not.
        own: Local identifiers of the establishment of the source.
        foreign: Every other local identifier.
        perhaps: Identifiers of unsure authority under each domain that they may belong to: a deposit is tested on them too.
        removed: Where an INS is erased (`""`, A47).
        too_long: Identifiers that are longer than any is; they were left out.
        problems: Traits that cannot be read.
    """

    segment: Segment
    identity: PatientIdentity
    ins: tuple[PatientId, ...]
    own: tuple[PatientId, ...]
    foreign: tuple[PatientId, ...]
    perhaps: tuple[PatientId, ...]
    removed: tuple[Place, ...]
    too_long: tuple[Place, ...]
    problems: tuple[Problem, ...]

    @property
    def is_qualified(self) -> bool:
        """Whether PID-32 says VALI and nothing that holds the identity back."""
        return self.identity.is_qualified

    @property
    def shown(self) -> str | None:
        """The identifier for an operator's list: the INS, else a local one."""
        return next((known.value for known in (*self.ins, *self.own, *self.foreign)), None)


def read(message: Message, source: Source, directory: Directory) -> PidReading | None:
    """Read the first PID of a message, or None if it has none; arguments as `read_segment`."""
    segment = message.first("PID")
    return None if segment is None else read_segment(segment, source, directory)


def transport(pid: PidReading) -> Transport:
    """Return a PID as the identity gate takes it."""
    return Transport(
        identity=pid.identity,
        ins=pid.ins,
        perhaps=pid.perhaps,
        is_qualified=pid.is_qualified,
        identifiers_at=pid.segment.place(3),
        status_at=pid.segment.place(32),
        strict=tuple(Strict(trait=trait, name=name, place=pid.segment.place(field)) for field, trait, name in _STRICT),
        problems=pid.problems,
        too_long=pid.too_long,
        too_long_is=TOO_LONG,
    )


def read_segment(segment: Segment, source: Source, directory: Directory) -> PidReading:
    """
    Read a PID.

    Args:
        segment: The PID segment.
        source: Who sends: its establishment's authorities are its own.
        directory: Establishments with their authorities.

    Returns:
        Its identity; nothing is judged here.
    """
    claims = read_identifiers(segment, 3, source, directory)
    traits, places, problems = _traits(segment)
    identity = PatientIdentity(
        identifiers=distinct((*(one for one in claims.ins if one.is_ins), *claims.own, *claims.foreign)),
        traits=traits,
        reliability=tuple(_repeated(segment, 32)),
        twin=value(segment, 25) is not None,
        places=places,
    )
    return PidReading(
        segment=segment,
        identity=identity,
        ins=claims.ins,
        own=claims.own,
        foreign=claims.foreign,
        perhaps=claims.perhaps,
        removed=claims.removed,
        too_long=claims.too_long,
        problems=problems,
    )


def read_identifiers(segment: Segment, field: int, source: Source, directory: Directory) -> Claims:
    """
    Read every repetition of a field of identifiers (CX).

    Args:
        segment: PID or MRG.
        field: Its field.
        source: Who sends: its establishment's authorities are its own.
        directory: Establishments with their authorities.

    Returns:
        Each once; nothing is judged here.
    """
    ins: list[PatientId] = []
    own: list[PatientId] = []
    foreign: list[PatientId] = []
    perhaps: list[PatientId] = []
    removed: list[Place] = []
    too_long: list[Place] = []
    for cx in segment.field(field).repetitions:
        if len(cx.raw) > LONGEST and _is_too_long(cx):
            too_long.append(cx.place)
            continue
        cx_type, number = part(cx, 5), part(cx, 1)
        if cx_type in IGNORED_TYPES:
            continue
        namespace, universal = part(cx, 4, 1), part(cx, 4, 2)
        root = next((written for written in (universal, namespace) if written in ROOTS), None)
        claims_ins = cx_type == "INS" or root is not None
        if number is None:
            if claims_ins and cx.component(1).text.strip() == NULL:
                removed.append(cx.place)
            continue
        if claims_ins:
            # As written, spaces included: nothing of an INS is repaired.
            matricule = cx.component(1).subcomponent(1).text
            authority = root or universal or namespace or ""
            ins.append(PatientId(value=matricule, authority=authority, type=cx_type, place=cx.place))
            continue
        whole = cx.component(4).text.strip()
        found = authority_of((whole or None, namespace, universal), source, directory, identifier_type=cx_type)
        known = PatientId(value=number, authority=found.key, type=cx_type, place=cx.place)
        (own if found.own else foreign).append(known)
        perhaps += also_tested(known, found)
    return Claims(
        ins=distinct(tuple(ins)),
        own=distinct(tuple(own)),
        foreign=distinct(tuple(foreign)),
        perhaps=distinct(tuple(perhaps)),
        removed=tuple(removed),
        too_long=tuple(too_long),
    )


def _is_too_long(cx: Repetition) -> bool:
    """Tell whether a number or its authority is longer than any is; what is far too long is not even decoded."""
    for component in (cx.component(1), cx.component(4)):
        if len(component.raw) > LONGEST and (len(component.raw) > _LONGEST_RAW or len(component.text.strip()) > LONGEST):
            return True
    return False


def _traits(segment: Segment) -> tuple[Traits, dict[str, Place], tuple[Problem, ...]]:
    """Read PID-5, 7, 8 and 11."""
    written: dict[str, str | None] = {}
    places = {"reliability": segment.place(32), "identifiers": segment.place(3)}
    for field, wanted, names in _TYPED:
        repetition = next((one for one in segment.field(field).repetitions if part(one, 7) == wanted), None)
        if repetition is not None:
            for component, name in names.items():
                written[name] = part(repetition, component)
                places[f"traits.{name}"] = repetition.component(component).place
    problems: list[Problem] = []
    birth_date = None
    places["traits.birth_date"] = segment.place(7)
    try:
        birth_date = when(value(segment, 7))
    except ValueError:
        problems.append(Problem(code="FIELD_INVALID", place=segment.place(7), detail="PID-7"))
    sex = value(segment, 8)
    places["traits.sex"] = segment.place(8)
    if sex is not None and sex not in _SEXES:
        problems.append(Problem(code="VALUE_UNKNOWN", place=segment.place(8), detail="PID-8"))
        sex = None
    return Traits(**written, birth_date=birth_date, sex=sex), places, tuple(problems)


def content_type(pv1: Segment | None) -> Code | None:
    """Return the contentTypeCode by PV1-2, or None if it is absent or not one of the table."""
    code = CONTENT_TYPES.get(value(pv1, 2) or "")
    return None if code is None else Code(code=code, system="JDV_J59")


def _repeated(segment: Segment, field: int) -> Iterator[str]:
    for repetition in segment.field(field).repetitions:
        text = repetition.text.strip()
        if text and text != NULL:
            yield text
