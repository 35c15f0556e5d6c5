"""
What every verb says, and where: data on standard output, words on standard error.

Nothing here reads markup: a message may hold square brackets, and what came from outside is shown as it is.
"""

import errno
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click
import msgspec
from rich.cells import cell_len

from gateway.cli.printable import printable

if TYPE_CHECKING:
    from gateway.cli.voice import err as err  # noqa: PLC0414 - named here for those who speak through this module
    from gateway.cli.voice import out as out  # noqa: PLC0414 - same

#: Variables that make rich take anything for a terminal.
_TERMINAL_VARIABLES: Final = ("FORCE_COLOR", "TTY_COMPATIBLE")

#: Two blanks between the columns of plain text.
_GAP: Final = "  "


def __getattr__(name: str) -> Any:
    """Give `out` and `err` when they are asked for: rich takes longer to load than most verbs to run."""
    if name not in {"out", "err"}:
        raise AttributeError(name)
    from gateway.cli import voice

    return getattr(voice, name)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """
    Print rows under their columns on standard output.

    Args:
        columns: Names of the columns.
        rows: One text per column; control characters are shown as dots.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    if _is_terminal():
        from rich.table import Table
        from rich.text import Text

        from gateway.cli.voice import out

        drawn = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for row in cells:
            drawn.add_row(*(Text(cell) for cell in row))
        out.print(drawn)
        return
    for line in aligned([list(columns), *cells]):
        click.echo(line)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one line per row, each column as wide as its widest cell, without blanks at the end of a line."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    return [
        _GAP.join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


#: What JSON lets through and a terminal obeys: C1 controls, marks that turn the direction of writing, line separators.
_STEERING: Final = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found.group()):04x}"


def json_line(obj: Any) -> None:
    """
    Print one object as one line of JSON on standard output, in UTF-8 whatever the terminal's charset.

    Args:
        obj: Anything that msgspec writes: a Struct, a mapping, a list.
    """
    line = _STEERING.sub(_escaped, msgspec.json.encode(obj).decode())
    if _is_terminal():
        from gateway.cli.voice import out

        out(line)
    else:
        click.echo(line.encode())


def fail(message: str, hint: str = "") -> NoReturn:
    """
    End the verb: it was refused or it failed.

    Args:
        message: What is wrong, in one sentence.
        hint: What to do next, in one line or several.

    Raises:
        SystemExit: always, with status 1.
    """
    from gateway.cli.voice import err

    # What another program said may end its sentence itself.
    err(printable(message[:-1] if message.endswith(("?.", "..")) else message), style="red")
    for line in hint.splitlines():
        err(printable(line))
    sys.exit(1)


def no_file(failure: OSError) -> NoReturn:
    """
    End the verb: the machine did not give or take a file.

    Args:
        failure: What the system said.

    Raises:
        SystemExit: always, with status 1.
    """
    where = f"{failure.filename}: " if failure.filename else ""
    what = failure.strerror or (str(failure) or type(failure).__name__)
    if failure.errno == errno.ENOENT:
        fail(f"{where}{what}.", "Is this the right path? It comes from the command line or a variable, such as AMQP_URL_FILE.")
    fail(f"{where}{what}.", "Is the disk full, or are these another user's files? `dmp-gateway doctor` tells.")


def usage(message: str, hint: str = "") -> NoReturn:
    """
    End the verb: it was not asked for in a way that can be understood.

    Args:
        message: What is wrong, in one sentence.
        hint: What to write instead.

    Raises:
        click.UsageError: always; click prints it with the usage line and exits with status 2.
    """
    raise click.UsageError(f"{message}\n{hint}" if hint else message)


@contextmanager
def progress(total: int, label: str = "") -> Iterator[Callable[[int], None]]:
    """
    Show a bar on standard error while a terminal is there to show it; elsewhere, nothing.

    Args:
        total: How many steps there are; 0: no bar.
        label: What the bar counts.

    Yields:
        What to call with the number of steps just made.
    """
    from gateway.cli.voice import err, out

    if not total or not err.is_terminal:
        yield lambda _steps: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Data on a terminal is printed above the bar; data that goes elsewhere is not caught by it.
    with Progress(*columns, console=err, transient=True, redirect_stdout=out.is_terminal) as bars:
        task = bars.add_task(label, total=total)
        yield lambda steps: bars.advance(task, steps)


def _is_terminal() -> bool:
    """Tell whether data goes to a terminal; rich is asked only where one can be meant."""
    if not sys.stdout.isatty() and not any(os.environ.get(name) for name in _TERMINAL_VARIABLES):
        return False
    from gateway.cli.voice import out

    return out.is_terminal
