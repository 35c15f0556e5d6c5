"""
The MetaDMPMSS flags: one OBX each, for every document of the message.

Source: ANS Trans. CDA en HL7v2 2.1, meta-dmp-mss.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from gateway.mappers.common.findings import Findings
from gateway.mappers.common.flags import SPELLINGS, FlagsReading
from gateway.mappers.hl7v2.tokens import Message, Segment
from gateway.mappers.hl7v2.values import part, value
from gateway.model.place import Place, er7_path
from gateway.model.problem import Severity
from gateway.model.submission import Act, Flags

SYSTEM: Final = "MetaDMPMSS"

REQUIRED: Final = (
    "MASQUE_PS",
    "INVISIBLE_PATIENT",
    "INVISIBLE_REP_LEGAUX",
    "CONNEXION_SECRETE",
    "MODIF_CONF_CODE",
    "DESTDMP",
    "DESTMSSANTEPS",
    "DESTMSSANTEPAT",
)
#: Written optional and 1..1 at once: N where they are absent.
DEFAULTED: Final = ("ACK_RECEPTION", "ACK_LECTURE_MSS")
#: Of secure mail and of earlier versions: known, and of no concern to the record.
COMPOSITION: Final = "COMP_LOT"
IGNORED: Final = frozenset({"CORPSMAIL_PS", "CORPSMAIL_PATIENT", COMPOSITION})

#: Tells whether the message concerns the record at all.
DESTINATION: Final = "DESTDMP"

_KNOWN: Final = frozenset({*REQUIRED, *DEFAULTED})
_VALUES: Final[Mapping[str, bool]] = {"Y": True, "N": False}


def is_flag(obx: Segment) -> bool:
    """Tell whether an OBX belongs to the flags: by its system, or by a known code without system (older forms)."""
    system = value(obx, 3, 3)
    if system == SYSTEM:
        return True
    code = _code(obx)
    return code in IGNORED or (system is None and code in _KNOWN)


def read(message: Message, written: Iterable[Segment], act: Act | None, findings: Findings) -> FlagsReading:
    """
    Read the flags of a message, in any order.

    Args:
        message: The message.
        written: The OBX of it that are flags.
        act: What the message asks for. A deletion is warned of its flags, and without DESTDMP it is for the record (D-4); only a
            DESTDMP that cannot be read refuses it.
        findings: Takes FLAG_MISSING, FLAG_INVALID, and VALUE_UNKNOWN as a warning.
    """
    severity = Severity.WARNING if act is Act.DELETE else Severity.ERROR
    values: dict[str, bool] = {}
    places: dict[str, Place] = {}
    empty: dict[str, Place] = {}
    for obx in written:
        code = _code(obx)
        if code in IGNORED:
            continue
        if code not in _KNOWN:
            findings.warn("VALUE_UNKNOWN", obx.place(3), "a flag that the volet does not have")
            continue
        place = obx.place(5)
        said = value(obx, 5)
        if said is None:
            empty.setdefault(code, place)
            continue
        flag = None if len({part(each, 1) for each in obx.field(5).repetitions}) > 1 else _VALUES.get(said)
        unclear = Severity.ERROR if code == DESTINATION else severity
        if flag is None:
            findings.add("FLAG_INVALID", place, code, severity=unclear)
            values.setdefault(code, False)
        elif values.get(code, flag) is not flag:
            findings.add("FLAG_INVALID", place, f"{code}: twice, with different values", severity=unclear)
        else:
            values[code] = flag
        places.setdefault(code, place)
    for code in REQUIRED:
        if code not in values:
            findings.add("FLAG_MISSING", empty.get(code) or _behind(message), code, severity=severity)
    if act is Act.DELETE:
        values.setdefault(DESTINATION, True)
    return FlagsReading(Flags(**{code.lower(): flag for code, flag in values.items()}), places)


def _code(obx: Segment) -> str:
    written = value(obx, 3) or ""
    return SPELLINGS.get(written, written)


def _behind(message: Message) -> Place:
    """Return the place of an OBX that would follow the last one."""
    present = message.all("OBX")
    end = present[-1].end if present else None
    return Place(path=er7_path("OBX", len(present) + 1), start=end, end=end)
