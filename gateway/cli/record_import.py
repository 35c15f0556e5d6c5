"""`dmp-gateway record import`: records opened from a file, with the consent that was recorded (D-18)."""

import csv
import itertools
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from gateway.cli import console
from gateway.cli.data_option import calling, config_option, data_option, json_option
from gateway.cli.import_file import FAULTS, Fault, FileRefused, ImportFile, Line, as_text, fault
from gateway.model.base import Model
from gateway.wiring.clock import SystemClock
from gateway.wiring.importing import ImportedLine, ImportedOpening, Importing

#: Lines that go to the owner of the store at once.
_AT_ONCE: Final = 100
#: Faults that are printed one by one; all of them are in the file of rejected lines and in `--json`.
_SHOWN: Final = 20
#: Columns that tell what is wrong in the file of rejected lines; an import passes over them.
_REMARKS: Final = ("_line", "_column", "_code", "_what_to_do")


class ImportSummary(Model, frozen=True, kw_only=True):
    """The last line of `record import --json`."""

    lines: int
    #: Opened now; with `--dry-run`: would be.
    opened: int
    #: Open already: left as they are.
    unchanged: int
    rejected: int
    dry_run: bool
    #: Where the rejected lines were written.
    rejected_file: str | None = None


@click.command("import", short_help="Open records from a CSV file.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--dry-run", is_flag=True, help="Only check every line; open nothing.")
@data_option
@config_option("The configuration that `serve` gets (asked only where no gateway runs); without one, the sample configuration.")
@json_option
def import_records(*, file: Path, dry_run: bool, data: Path, config: Path | None, as_json: bool) -> None:
    """
    Open the records of FILE, one line each, with the patient's consent (R-01…R-05). Run again, it goes on where it stopped.

    CSV in UTF-8, separated by ; or , or tabs; the first line names the columns, in any order: ins, root, birth_name, given_names,
    first_given_name, birth_date, sex, birth_place, channel, consent_by, consent_at, consent_place, emergency_access.

    Every line is checked before the first record is opened. A record that is open stays as it is; one that its patient closed is
    not opened again. Lines that are wrong are told by their number and written beside FILE, into NAME.rejected.csv (0600), with
    what is wrong: correct that file and import it.

    \b
    Examples:
      dmp-gateway record import patients.csv --dry-run
      dmp-gateway record import patients.csv

    \b
    Exit status: 0 every line is an open record, 1 a line was rejected or the file cannot be read, 2 usage.
    """  # noqa: D301 - click reads this mark
    rejected = _Rejected(file, as_json=as_json, keep=not dry_run)
    with ExitStack() as stack:
        lines = _told(stack, file, rejected)
        total = _checked(lines, rejected)
        opened, unchanged = total - rejected.count, 0
        if not dry_run:
            opened, unchanged = _open(stack, lines, rejected, total=total, data=data, config=config)
        rejected.finish()
    summary = ImportSummary(
        lines=total,
        opened=opened,
        unchanged=unchanged,
        rejected=rejected.count,
        dry_run=dry_run,
        rejected_file=str(rejected.path) if rejected.written else None,
    )
    _say(summary, as_json=as_json)
    if summary.rejected:
        raise SystemExit(1)


def _told(stack: ExitStack, file: Path, rejected: "_Rejected") -> ImportFile:
    if rejected.keep and rejected.path.exists():
        console.fail(f"{rejected.path} is there from an earlier run.", "Import it when it is corrected, or move it away.")
    try:
        lines = ImportFile(file, SystemClock().now())
    except FileRefused as refused:
        console.fail(str(refused), refused.advice)
    except OSError as failure:
        console.fail(f"{file} cannot be read: {failure.strerror}.", "Check its rights.")
    stack.callback(lines.close)
    return lines


def _checked(lines: ImportFile, rejected: "_Rejected") -> int:
    """Check every line and tell what is wrong; return how many there are."""
    total = 0
    try:
        for line in lines.lines():
            total += 1
            for each in line.faults:
                rejected.tell(each)
            rejected.count += bool(line.faults)
    except FileRefused as refused:
        console.fail(str(refused), f"{refused.advice} Nothing was opened.")
    return total


def _open(
    stack: ExitStack, lines: ImportFile, rejected: "_Rejected", *, total: int, data: Path, config: Path | None
) -> tuple[int, int]:
    """Open what is right, through the gateway or in its place; return how many were opened and how many were open."""
    opened = unchanged = 0
    call = stack.enter_context(calling(data, config))
    step = stack.enter_context(console.progress(total, "records"))
    coming = lines.lines()
    while chunk := list(itertools.islice(coming, _AT_ONCE)):
        for line in chunk:
            if line.faults:
                rejected.write(lines, line, line.faults)
        right = {line.number: line for line in chunk if line.opening is not None}
        for done in _asked(call, [line.opening for line in right.values() if line.opening is not None]):
            opened += done.verdict == "applied"
            unchanged += done.verdict == "unchanged"
            if done.verdict not in {"applied", "unchanged"}:
                found = [fault(done.line, "ins", code) for code in done.codes if code in FAULTS]
                rejected.count += 1
                for each in found:
                    rejected.tell(each)
                rejected.write(lines, right[done.line], found)
        step(len(chunk))
    return opened, unchanged


def _asked(call: Callable[[str, object], bytes], openings: Sequence[ImportedOpening]) -> list[ImportedLine]:
    if not openings:
        return []
    return msgspec.json.decode(call("record.import", Importing(openings=tuple(openings))), type=list[ImportedLine])


class _Rejected:
    """Tells of lines that were rejected, and writes them beside the file."""

    def __init__(self, file: Path, *, as_json: bool, keep: bool) -> None:
        self.path = file.with_name(f"{file.stem}.rejected.csv")
        self.keep = keep
        self.count = 0
        self.written = False
        self._told = 0
        self._as_json = as_json
        self._partial: Path | None = None
        self._out: Any = None
        self._csv: Any = None

    def tell(self, found: Fault) -> None:
        """Print one thing that is wrong, by line and column, never its value."""
        if self._as_json:
            console.json_line(found)
            return
        self._told += 1
        if self._told <= _SHOWN:
            where = f"line {found.line}" + (f", {found.column}" if found.column else "")
            console.err(f"{where}: {found.code}: {found.advice}")
        elif self._told == _SHOWN + 1:
            console.err("…")

    def write(self, lines: ImportFile, line: Line, faults: Sequence[Fault]) -> None:
        """Keep a line as it stood, with what is wrong."""
        if not self.keep:
            return
        if self._csv is None:
            descriptor, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
            self._partial = Path(name)
            self._out = os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="")
            self._csv = csv.writer(self._out, delimiter=lines.separator)
            self._csv.writerow([*_REMARKS, *_columns(lines.header)[1]])
        places, _ = _columns(lines.header)
        remarks = (
            str(line.number),
            " ".join(each.column for each in faults if each.column),
            " ".join(each.code for each in faults),
            " ".join(dict.fromkeys(each.advice for each in faults)),
        )
        cells = [line.cells[place] for place in places if place < len(line.cells)]
        rest = line.cells[len(lines.header) :]
        self._csv.writerow([as_text(cell) for cell in (*remarks, *cells, *rest)])

    def finish(self) -> None:
        """Give the file of rejected lines its name."""
        if self._partial is not None:
            self._out.flush()
            os.fsync(self._out.fileno())
            self._out.close()
            self._partial.replace(self.path)
            self.written = True


def _columns(header: Sequence[str]) -> tuple[list[int], list[str]]:
    """Return places and names of the columns that are not remarks of an earlier run."""
    kept = [(place, name) for place, name in enumerate(header) if not name.strip().startswith("_")]
    return [place for place, _ in kept], [name for _, name in kept]


def _say(summary: ImportSummary, *, as_json: bool) -> None:
    if as_json:
        console.json_line(summary)
        return
    would = "would be opened or are open already" if summary.dry_run else "opened"
    console.out.print(
        f"{summary.lines} lines: {summary.opened} {would}, {summary.unchanged} open already, {summary.rejected} rejected."
    )
    if summary.rejected_file:
        console.out.print(f"The rejected lines, with what is wrong, are in {summary.rejected_file}: correct it and import it.")
