"""A file of records to open: lines read one by one, each found right or told what is wrong with it (R-01…R-05)."""

import codecs
import csv
import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final, TextIO

from gateway.model import ins as ins_rules
from gateway.model.base import Model
from gateway.model.patient import PatientId, Traits
from gateway.model.when import When
from gateway.wiring.importing import ImportedOpening
from gateway.wiring.naming import UNSAID

#: Columns that may stand in the header, in any order, and what each holds.
COLUMNS: Final = MappingProxyType(
    {
        "ins": "matricule INS, 15 characters",
        "root": "nir, nia, test, demo or the OID; empty: the environment's own",
        "birth_name": "birth name, as INSi gave it",
        "given_names": "birth given names, the first one first",
        "first_given_name": "first birth given name, where it has several words",
        "birth_date": "YYYY-MM-DD, YYYYMMDD or DD/MM/YYYY",
        "sex": "M, F or U",
        "birth_place": "INSEE code of the place of birth, 5 characters",
        "channel": "online, desk, pharmacist, professional, hospital or migration (R-02)",
        "consent_by": "who collected the consent (R-01)",
        "consent_at": "when: YYYY-MM-DD or DD/MM/YYYY, with or without HH:MM",
        "consent_place": "where",
        "emergency_access": "may it be read in an emergency: yes, no, or empty where it was not asked (R-05)",
    }
)
#: Names that mean one of them.
ALIASES: Final = MappingProxyType({"oid": "root", "matricule": "ins", "emergency": "emergency_access"})
REQUIRED: Final = ("ins", "birth_name", "birth_date", "sex", "channel")

#: What can be wrong with a line, and what to do.
FAULTS: Final = MappingProxyType(
    {
        "CELLS": "The line has more or fewer cells than the header: put a text that holds a separator in quotes.",
        "MISSING": "This cell must not be empty.",
        "TEXT": "Write it on one line, without control characters, in at most 250 characters.",
        "FORMULA": "A spreadsheet formula, not a value: format the column as text and write the value.",
        "INS_SHAPE": "Not 15 characters: format the column as text (a spreadsheet rounds long numbers) and export it again.",
        "INS_KEY": "The control key does not fit: never correct it by hand, take the INS again from INSi.",
        "INS_ROOT": "This gateway takes no INS of that root: nir or nia in production, test or demo on a test gateway.",
        "DATE": "Write a day that exists and has passed: YYYY-MM-DD, YYYYMMDD or DD/MM/YYYY.",
        "SEX": "Write M, F or U.",
        "BIRTH_PLACE": "Write the 5 characters of the INSEE code; a spreadsheet takes leading zeros away from numbers.",
        "CHANNEL": "Write online, desk, pharmacist, professional, hospital or migration.",
        "CONSENT": "Write who collected the consent and when; only the channel migration goes without (R-01, R-41).",
        "EMERGENCY": "Write yes or no, or leave it empty where it was not asked.",
        "IDENTITY_CONFLICT": "These identifiers belong to two people or records: the identity watch decides.",
        "RECORD_CLOSED": "Its patient closed this record: only its patient opens it again (`record open`).",
    }
)

_LONGEST: Final = 250
_CHANNELS: Final = frozenset({"online", "desk", "pharmacist", "professional", "hospital", "migration"})
_ROOTS: Final = {
    "nir": ins_rules.ROOT_NIR, "nia": ins_rules.ROOT_NIA, "test": ins_rules.ROOT_TEST, "demo": ins_rules.ROOT_DEMO,
    **{root: root for root in ins_rules.ROOTS},
}  # fmt: skip
_ANSWERS: Final = {
    **dict.fromkeys(("yes", "y", "true", "1", "oui", "o"), True), **dict.fromkeys(("no", "n", "false", "0", "non"), False)
}  # fmt: skip
_COG: Final = re.compile(r"(?:[0-9]{2}|2[AB])[0-9]{3}", re.ASCII)
_ISO_DAY: Final = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})", re.ASCII)
_FRENCH_DAY: Final = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4})", re.ASCII)
_INSTANT: Final = re.compile(r"(\S+?)(?:[T ]([0-9]{2}):([0-9]{2})(?::[0-9]{2})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
#: What a spreadsheet runs, or runs when it is opened again.
_FORMULA: Final = re.compile(r"[=@+]|-[0-9(A-Za-z]*\(")
_SEPARATORS: Final = (";", ",", "\t")
#: A quote that is never closed must not swallow the file.
_CELL_BYTES: Final = 64 * 1024

_BOMS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF8: Final = "Save it as UTF-8 (in a spreadsheet: `CSV UTF-8`), or convert it: iconv -f WINDOWS-1252 -t UTF-8."


class FileRefused(Exception):
    """The whole file cannot be read; nothing was opened. Carries what to do."""

    def __init__(self, message: str, advice: str) -> None:
        """Keep both."""
        super().__init__(message)
        self.advice = advice


class Fault(Model, frozen=True, kw_only=True):
    """One thing that is wrong with a line; never its value."""

    #: Number of the line in the file, as an editor counts.
    line: int
    #: Empty for the line as a whole.
    column: str
    #: Of `FAULTS`.
    code: str
    advice: str


class Line(Model, frozen=True, kw_only=True):
    """A line as it stood, and what it says or what is wrong with it."""

    number: int
    cells: tuple[str, ...]
    opening: ImportedOpening | None = None
    faults: tuple[Fault, ...] = ()


class ImportFile:
    """
    The file, open; its lines are read as they are asked for, twice if need be.

    Args:
        path: The file.
        today: Dates after it have not come yet.

    Raises:
        FileRefused: not UTF-8, no header, or a header that cannot be understood.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path, today: datetime) -> None:
        """Open the file and read its header."""
        self._today = today
        csv.field_size_limit(_CELL_BYTES)
        with path.open("rb") as raw:
            if raw.read(2) in _BOMS:
                raise FileRefused("The file is UTF-16.", _UTF8)
        self._text: TextIO = path.open("r", encoding="utf-8-sig", errors="strict", newline="")
        try:
            self.header, self.separator, self._columns = self._head()
        except BaseException:
            self._text.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._text.close()

    def lines(self) -> Iterator[Line]:
        """
        Yield every line behind the header, from the first; empty ones are left out.

        Raises:
            FileRefused: from some line on it cannot be read.
        """
        self._text.seek(0)
        reader = csv.reader(self._text, delimiter=self.separator, strict=True)
        begun = 0
        try:
            for number, cells in enumerate(reader):
                first, begun = begun + 1, reader.line_num
                if number and any(cell.strip() for cell in cells):
                    yield self._line(first, tuple(cells))
        except UnicodeDecodeError:
            raise FileRefused(f"The file is not UTF-8: something after line {begun} is not.", _UTF8) from None
        except csv.Error:
            advice = "A quote that opens a text must close it; a quote inside a text is written twice; a cell is a short text."
            message = f"The line after line {begun} cannot be read: a quote does not end, or a cell has no end."
            raise FileRefused(message, advice) from None

    def _head(self) -> tuple[tuple[str, ...], str, Mapping[str, int]]:
        try:
            first = self._text.readline(_CELL_BYTES)
        except UnicodeDecodeError:
            raise FileRefused("The file is not UTF-8.", _UTF8) from None
        if not first.strip():
            raise FileRefused("The file begins with an empty line.", f"The first line names the columns: {', '.join(COLUMNS)}.")
        separator = max(_SEPARATORS, key=first.count)
        try:
            header = tuple(next(csv.reader([first], delimiter=separator, strict=True)))
        except csv.Error:
            raise FileRefused("The first line cannot be read.", "Names of columns are written without quotes.") from None
        return header, separator, _columns_of(header)

    def _line(self, number: int, cells: tuple[str, ...]) -> Line:
        if len(cells) != len(self.header):
            return Line(number=number, cells=cells, faults=(fault(number, "", "CELLS"),))
        values = {name: cells[place].strip() for name, place in self._columns.items()}
        faults = [
            fault(number, name, "FORMULA" if _FORMULA.match(value) else "TEXT")
            for name, value in values.items()
            if _FORMULA.match(value) or _CONTROL.search(value) or len(value) > _LONGEST
        ]
        faults = faults or [fault(number, name, "MISSING") for name in REQUIRED if not values[name]]
        if faults:
            return Line(number=number, cells=cells, faults=tuple(faults))
        reading = _Reading(number, values, self._today)
        opening = reading.opening()
        faults = reading.faults
        return Line(number=number, cells=cells, opening=None if faults else opening, faults=tuple(faults))


class _Reading:
    """Reads the cells of one line and gathers what is wrong."""

    def __init__(self, number: int, values: Mapping[str, str], today: datetime) -> None:
        self._number = number
        self._values = values
        self._today = today
        self.faults: list[Fault] = []

    def opening(self) -> ImportedOpening:
        given = self._value("given_names")
        first = self._value("first_given_name") or (given.split()[0] if given else "")
        if not first:
            self._wrong("given_names", "MISSING")
        by, at = self._value("consent_by"), self._instant("consent_at")
        channel = self._one("channel", _CHANNELS.__contains__, "CHANNEL").lower()
        if channel != "migration":
            for name in ("consent_by", "consent_at"):
                if not self._value(name):
                    self._wrong(name, "CONSENT")
        answer = self._value("emergency_access").lower()
        if answer and answer not in _ANSWERS:
            self._wrong("emergency_access", "EMERGENCY")
        return ImportedOpening(
            line=self._number,
            patient=self._patient(),
            traits=Traits(
                birth_name=self._value("birth_name"),
                first_given_name=first or None,
                given_names=given or first or None,
                birth_date=self._day("birth_date"),
                sex=self._one("sex", "mfu".__contains__, "SEX").upper(),
                birth_place=self._place(),
            ),
            channel=channel,
            collected_by=by or None,
            collected_at=at,
            place=self._value("consent_place"),
            emergency_access=_ANSWERS.get(answer),
        )

    def _patient(self) -> PatientId:
        matricule = "".join(self._value("ins").split()).upper()
        if len(matricule) != 15:
            self._wrong("ins", "INS_SHAPE")
        elif not ins_rules.is_matricule(matricule):
            self._wrong("ins", "INS_KEY")
        root = self._value("root").lower()
        if root and root not in _ROOTS:
            self._wrong("root", "INS_ROOT")
        return PatientId(value=matricule, authority=_ROOTS.get(root, UNSAID), type="INS")

    def _place(self) -> str | None:
        place = self._value("birth_place").upper()
        if place and _COG.fullmatch(place) is None:
            self._wrong("birth_place", "BIRTH_PLACE")
        return place or None

    def _one(self, name: str, known: Callable[[str], bool], code: str) -> str:
        value = self._value(name)
        if (len(value) > 1 and name == "sex") or not known(value.lower()):
            self._wrong(name, code)
        return value

    def _day(self, name: str) -> When | None:
        day = _day(self._value(name))
        if day is None or day.date() > self._today.date():
            self._wrong(name, "DATE")
            return None
        return When.read(f"{day:%Y%m%d}")

    def _instant(self, name: str) -> str | None:
        """Return a date, with its hour where it has one, as it is kept: ISO 8601."""
        value = self._value(name)
        if not value:
            return None
        found = _INSTANT.fullmatch(value)
        day = _day(found.group(1)) if found else None
        hours, minutes = (int(part or 0) for part in found.group(2, 3)) if found else (0, 0)
        if found is None or day is None or day.date() > self._today.date() or hours > 23 or minutes > 59:
            self._wrong(name, "DATE")
            return None
        return f"{day:%Y-%m-%d}" + value[found.end(1) :].replace(" ", "T", 1)

    def _value(self, name: str) -> str:
        return self._values.get(name, "")

    def _wrong(self, column: str, code: str) -> None:
        self.faults.append(fault(self._number, column, code))


def fault(line: int, column: str, code: str) -> Fault:
    """Return a fault with what to do."""
    return Fault(line=line, column=column, code=code, advice=FAULTS[code])


def as_text(cell: str) -> str:
    """Return a cell that no spreadsheet runs as a formula when the rejected lines are looked at."""
    return f"'{cell}" if cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell


def _day(text: str) -> datetime | None:
    iso, french = _ISO_DAY.fullmatch(text), _FRENCH_DAY.fullmatch(text)
    parts = iso.groups() if iso else french.groups()[::-1] if french else None
    if parts is None:
        return None
    try:
        return datetime(int(parts[0]), int(parts[1]), int(parts[2]))  # noqa: DTZ001 - a day has no zone
    except ValueError:
        return None


def _columns_of(header: tuple[str, ...]) -> Mapping[str, int]:
    """Return the place of each known column; those that begin with `_` are the remarks of an earlier run."""
    places: dict[str, int] = {}
    for place, written in enumerate(header):
        name = re.sub(r"[\s-]+", "_", written.strip().lower())
        if name.startswith("_"):
            continue
        name = ALIASES.get(name, name)
        if name not in COLUMNS:
            close = difflib.get_close_matches(name, COLUMNS, n=1, cutoff=0.5)
            known = f"Did you mean {close[0]}?" if close else f"Known: {', '.join(COLUMNS)}."
            raise FileRefused(f"Column {place + 1} of the header is not known.", known)
        if name in places:
            raise FileRefused(f"The column {name} stands twice in the header.", "Take one of them away.")
        places[name] = place
    absent = [name for name in REQUIRED if name not in places]
    if "given_names" not in places and "first_given_name" not in places:
        absent.append("given_names")
    if absent:
        raise FileRefused(f"The header lacks {', '.join(absent)}.", f"The first line names the columns: {', '.join(COLUMNS)}.")
    return places
