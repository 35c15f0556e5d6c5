"""Writes the reference pages of `docs/` from the tables of the program: problems, settings, verbs, events, terminology (D-22)."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

import click
import msgspec

from gateway.cli.main import main as program
from gateway.cli.reference_metrics import metrics_page
from gateway.cli.reference_watch import identity_watch
from gateway.config.settings import LISTS, SECTIONS, SETTINGS, Setting
from gateway.mappers.hl7v2.ack import APPLICATION_ERRORS, CODE_SYSTEM
from gateway.model.problem import ERR3_TEXT, ProblemCode
from gateway.model.problems import GROUPS, NEVER_REFUSES, RESERVED, SOMETIMES_WARNS
from gateway.model.source import Grant
from gateway.store.retention import JOBS
from gateway.telemetry.events import EVENTS, Event
from gateway.telemetry.redaction import FIELDS
from gateway.terminology.files import load
from gateway.terminology.sets import NAMES, table

#: Columns of a pasted help text.
WIDTH: Final = 100

_MADE: Final = "<!-- Written by `make docs` from {where}: change it there. -->\n"

_KEPT: Final = (
    "A running gateway takes away what has been kept long enough, at its start and daily, in small transactions; "
    "`dmp-gateway db retain` does it now, `--dry-run` only counts. What was cut off, or comes late, goes on at the next run."
)

#: Of codes of the record's rules: on the MLLP door their decision comes after the answer.
_RECORD: Final = "The record's rules"

_LIST_HELP: Final = MappingProxyType({
    "establishments": "The legal entities: oppositions bind them, documents are owned by them.",
    "establishments.id": "Its name in the log, in lists and in scopes: lower-case letters, digits, `.`, `_`, `-`.",
    "establishments.name": "Its name for people.",
    "establishments.finess_ej": "FINESS of the legal entity, nine characters.",
    "establishments.finess_eg": "FINESS of its sites: a deposit signed by one of them is the establishment's.",
    "establishments.kind": "`hospital`, `laboratory`, `imaging`, `practice`, `pharmacy`, `insurer` or `patient`: a patient may "
    "oppose one kind as a whole; what the patient wrote and sends from one of kind `patient` passes every opposition (O-14).",
    "establishments.opposition_scope": "What an opposition binds that was told to it: `legal_entity`, all of it, or `site`, the "
    "site of the source that received it (O-10).",
    "establishments.authorities": "Its own assigning authorities by domain, each with every spelling of PID-3.4.",
    "sources": "Who sends: an application of an establishment.",
    "sources.id": "Its name in the log, in metrics and in receipts.",
    "sources.establishment": "Id of its establishment.",
    "sources.application": "MSH-3, first component, exactly.",
    "sources.facility": "MSH-4, first component, exactly.",
    "sources.grants": "What it may do; see the grants below.",
    "sources.kind": "A kind that it is beside its establishment's: the laboratory of a hospital.",
    "sources.site": "FINESS of the site that it stands in, where the establishment's `opposition_scope` is `site`; without one "
    "it speaks for the whole.",
    "sources.charset": "What it means by an empty MSH-18: `UNICODE UTF-8`, `8859/15`, `8859/1` or `ASCII`.",
    "sources.charset_forced": "Read it by `charset` whatever MSH-18 says: it declares one and writes another.",
    "sources.answer": "`durable`: AA once a deposit is safe in the queue; `decided`: AA is withheld until the record has "
    "decided.",
    "sources.document_types": "The only document types (XDS typeCode) that it may deposit; empty: every type that the record "
    "takes.",
    "sources.tokens": "SHA-256 of each of its bearer tokens (HTTP); `dmp-gateway sources token` makes one.",
    "sources.oid": "OID of its system: sourceId of the submission sets that are made for it (ITI-105).",
    "sources.content_type": "contentTypeCode (JDV_J59) of submission sets whose format carries none.",
    "connections": "Who may come in where: MSH-3 and MSH-4 choose among the sources of the connection, never beyond (D-17).",
    "connections.door": "`mllp` or `http`.",
    "connections.networks": "Networks that it comes from; without TLS only those of the loopback interface and of "
    "`tls.plaintext_networks`.",
    "connections.sources": "Ids of the sources that it admits.",
    "connections.certificates": "Only with one of these client certificates: `sha256:` and its fingerprint, or a subjectAltName "
    "(`dns:`, `uri:`, `email:`, `ip:`). With them `networks` may be empty: any.",
    "connections.port": "Only connections to this port of ours; absent: any port of the door.",
})  # fmt: skip

_GRANT_HELP: Final = MappingProxyType({
    Grant.DEPOSIT: "Add, replace and delete documents.",
    Grant.STATE_OPPOSITION: "State that a patient opposes: ZFA-9 = IO, ZFA-11 = INC.",
    Grant.LIFT_OPPOSITION: "State that a patient does not oppose: ZFA-9 = INO, ZFA-11 = IC.",
    Grant.LINK_IDENTITY: "Link the identifiers that an ADT under VALI carries.",
    Grant.MERGE_IDENTITY: "Merge files and change identifiers (A40, A47).",
    Grant.IDENTITY_ASSERTED: "Deposit by formats that carry no status of identity (D-19).",
})  # fmt: skip

#: Tables of the terminology that are no value sets.
_MAPS: Final = MappingProxyType({
    "type_to_class": "Which class a document type belongs to; a type that is not here is not taken (TYPE_NOT_DMP).",
    "format_code": "Which format a template or media type stands for.",
    "code_systems": "Name and URIs of code systems by OID.",
})  # fmt: skip

_PROBLEMS: Final = f"""\
# Problem codes

The codes are the gateway's own (D-25). They stand in ERR-5.1 of an answer, with `{CODE_SYSTEM}` as their code system. ERR-2 gives
the place, ERR-7 what is particular to the case, ERR-8 the two sentences printed here. [hl7v2.md](hl7v2.md) shows whole answers.

*MSA-1* is the answer when the problem refuses the message: `AE`, sending it again as it is will not help; `AR`, send it again
later. A problem told as a warning (ERR-4 = `W`) or for information (`I`) comes with `AA`: the message was taken.

The line *FHIR* is the issue type of an OperationOutcome, the line *HTTP* the status of an answer over HTTP
([cda.md](cda.md)), where the problem refuses; the line *XDS* is what a door of XDS will say. What the sources stand for:
[glossary.md](glossary.md#sources-cited).
"""

_LATER: Final = """\
On the MLLP door a document is answered `AA` once it is durable, before the record decides. These codes are then found by
`deposits list` and `deposits show`; no business acknowledgment (`ZAM^Z01`) is sent in this version. The verbs `record open` and
`record close` show theirs at once, and an ADT whose identifiers conflict says so in its answer.\
"""

_SETTINGS: Final = """\
# Settings

One TOML file, named by `--config` or `DMP_GATEWAY_CONFIG`; without one, `serve` runs the sample configuration, as test. An
environment variable goes over the file, a flag of `serve` over both. An unknown key or variable is an error that names the
nearest known one, and the faults are told with their lines. `dmp-gateway doctor --settings` prints the values in force and where
each comes from. A commented file: [samples/dmp-gateway.toml](../samples/dmp-gateway.toml).
"""

_VERBS: Final = """\
# Verbs

Every verb explains itself by `--help`; this page is those texts. Data go to standard output, words to standard error; `--json`
writes one object per line ([schemas](../schemas/)). Exit status: 0 done, 1 refused or failed, 2 usage.
"""

_EVENTS: Final = """\
# Log events

The log is one line per event on standard error: JSON, or text for people where a terminal reads it (`log.format`). Every line has
`timestamp` (UTC), `level` and `event`; empty fields are left out. A line holds ids and codes only: a text that does not have its
field's form is left out, or a short hash stands for it, keyed anew in each process.

At level `info` one line tells the whole of a message at its door, and one what the record made of a deposit. What is away is said
once, again each minute, and when it is back; the libraries of broker and database, which tell of every try, at `debug` only.

What is counted is in [metrics.md](metrics.md).
"""

_TERMINOLOGY: Final = """\
# Terminology

The value sets that the gateway carries as data, so that it works without internet. A code is a member by its system and its code;
displays are not compared. A code whose system is not here is kept as written.

This version reads document types, classes and formats; the other sets are there for the readers of entries to come.
"""


class _Table(msgspec.Struct, frozen=True):
    """What every file of the terminology says of itself."""

    name: str
    source: tuple[str, ...]
    oid: str | None = None
    revision: str | None = None


def problems() -> str:
    """Return the page of problem codes: one section per code, by group."""
    parts = [
        _MADE.format(where="`gateway/model/problems.py`"),
        _PROBLEMS,
    ]
    for name, text, rows in GROUPS:
        parts.append(f"- **{name}.** {text} " + " · ".join(f"[{row.code}](#{row.code.lower()})" for row in rows))
    for name, text, rows in GROUPS:
        parts += ["", f"## {name}", "", text]
        if name == _RECORD:
            parts += [
                "",
                _LATER,
            ]
        for row in rows:
            parts += ["", *_problem(row, later=name == _RECORD)]
    return "\n".join(parts) + "\n"


def _problem(row: ProblemCode, *, later: bool) -> Iterator[str]:
    yield f"### {row.code}"
    yield ""
    yield _plain(row.text)
    yield ""
    yield f"- **What to do**: {_plain(row.advice)}"
    yield f"- **Who must act**: {row.who}"
    if row.code in RESERVED:
        yield f"- **Reserved**: {RESERVED[row.code]}"
    yield f"- **MSA-1**: {_msa1(row, later=later)}"
    yield f"- **ERR-3**: `{row.err3}` {ERR3_TEXT[row.err3]}"
    yield f"- **ERR-5**: `{_err5(row)}`"
    http = "200, as an issue of severity `warning`" if row.code in NEVER_REFUSES else str(row.http)
    yield f"- **FHIR** issue `{row.issue}` · **HTTP** {http} · **XDS** `{row.xds}`" + (
        f" · **DMP** `{row.dmp}`" if row.dmp else ""
    )
    yield f"- **Example**: `{row.example}`"
    yield f"- **Source**: {row.source}"


def _plain(text: str) -> str:
    """Return a text whose signs Markdown would take for its own."""
    return text.replace("\\", "\\\\").replace("<", "\\<")


def _msa1(row: ProblemCode, *, later: bool) -> str:
    if row.code in NEVER_REFUSES:
        return "`AA`: the code never refuses a message" + ("; of a document it is known after the answer" if later else "")
    if later:
        return f"`AA` was given before; `{row.answer}` where an answer waits for the outcome"
    return f"`{row.answer}`" + (
        "; where ERR-4 is `W` it is a warning, and the answer `AA`" if row.code in SOMETIMES_WARNS else ""
    )


def _err5(row: ProblemCode) -> str:
    application = row.application_error
    more = f"^{application}^{APPLICATION_ERRORS[application]}^applicationErrorCondition" if application else ""
    return f"{row.code}^…^{CODE_SYSTEM}{more}"


def settings() -> str:
    """Return the page of settings: those of one value, then the lists, then the grants."""
    parts = [
        _MADE.format(where="`gateway/config/settings.py`"),
        _SETTINGS,
        "## Settings of one value\n",
        "| setting | default | may be | variable | meaning |",
        "|---|---|---|---|---|",
    ]
    parts += [f"| `{row.name}` | {_default(row)} | {_range(row)} | `{row.variable}` | {row.help} |" for row in SETTINGS]
    parts += ["", "## How long things are kept", "", _KEPT, "", "| job | what it takes away | as long as |", "|---|---|---|"]
    parts += [f"| `{job.name}` | {job.what} | `{job.setting}` |" for job in JOBS]
    parts += ["", "`DMP_GATEWAY_CONFIG` and `DMP_GATEWAY_DATA` stand for `--config` and `--data`.", "", "## Lists", ""]
    parts.append("They stand in the file only, each row as a table of its own (`[[sources]]`).")
    for name, kind in LISTS.items():
        parts += ["", f"### `[[{name}]]`", "", _LIST_HELP[name], "", "| key | needed | meaning |", "|---|---|---|"]
        for field in msgspec.structs.fields(kind):
            needed = "yes" if field.required else _empty(field.default)
            parts.append(f"| `{field.name}` | {needed} | {_LIST_HELP[f'{name}.{field.name}']} |")
    parts += ["", "### Grants", "", "| grant | what a source that has it may do |", "|---|---|"]
    parts += [f"| `{grant.value}` | {_GRANT_HELP[grant]} |" for grant in Grant]
    return "\n".join(parts) + "\n"


def _default(row: Setting) -> str:
    if row.default is None:
        return "none: the file must say"
    return f"`{row.default}`" if row.default not in {"", ()} else "empty"


def _range(row: Setting) -> str:
    """Return what a setting may be: its choices, or the bounds of its number."""
    section, _, key = row.name.rpartition(".")
    if not section:
        return "`production`, `test`"
    info = msgspec.inspect.type_info(SECTIONS[section])
    if not isinstance(info, msgspec.inspect.StructType):
        raise TypeError(f"{section} is no section")
    kind = next(field.type for field in info.fields if field.name == key)
    match kind:
        case msgspec.inspect.EnumType():
            return ", ".join(f"`{choice.value}`" for choice in kind.cls)
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            low = f"{kind.ge:g}" if kind.ge is not None else f"over {kind.gt:g}"
            return f"{low} to {kind.le:,.0f}".replace(",", " ")
        case msgspec.inspect.VarTupleType():
            return "a list; in its variable separated by commas"
        case _:
            return "text"


def _empty(default: object) -> str:
    if isinstance(default, frozenset):
        return "no: " + ", ".join(f"`{each.value}`" for each in sorted(default))
    return "no"


def verbs() -> str:
    """Return the page of verbs: every help text as the program prints it."""
    parts = [
        _MADE.format(where="the help of `dmp-gateway`"),
        _VERBS,
    ]
    for path, command, context in _walk(program, _context(program, "dmp-gateway", None)):
        parts += [f"## {path}", "", "```text", command.get_help(context).rstrip(), "```", ""]
    return "\n".join(parts)


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    options = ["-h", "--help"]
    return click.Context(
        command, info_name=name, parent=parent, terminal_width=WIDTH, max_content_width=WIDTH, help_option_names=options
    )


def _walk(command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    yield context.command_path, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from _walk(found, _context(found, name, context))


def events() -> str:
    """Return the page of log events."""
    parts = [
        _MADE.format(where="`gateway/telemetry`"),
        _EVENTS,
        "## Events\n",
        "| event | level | when | fields |",
        "|---|---|---|---|",
    ]
    parts += [f"| `{event.name}` | {event.level} | {_first_line(event)} | {_fields(event)} |" for event in EVENTS]
    parts += ["", "## Fields", "", "| field | holds |", "|---|---|"]
    parts += [f"| `{name}` | {form.help}{' (a list)' if form.several else ''} |" for name, form in FIELDS.items()]
    return "\n".join(parts) + "\n"


def _first_line(event: type[Event]) -> str:
    return (event.__doc__ or "").strip().splitlines()[0].replace("|", "\\|")


def _fields(event: type[Event]) -> str:
    return ", ".join(f"`{field.name}`" for field in msgspec.structs.fields(event) if field.name in FIELDS)


def terminology() -> str:
    """Return the page of value sets: what is carried, from where, at which revision."""
    parts = [
        _MADE.format(where="`gateway/terminology/data`"),
        _TERMINOLOGY,
        "## Value sets\n",
        "| file | as published | OID | revision | codes | taken from |",
        "|---|---|---|---|---|---|",
    ]
    for name in NAMES:
        found = table(name)
        origin = _origin(found.source)
        parts.append(f"| `{name}` | {found.name} | {found.oid or ''} | {found.revision or ''} | {len(found)} | {origin} |")
    parts += ["", "## Maps", "", "| file | what it says | as published | revision | taken from |", "|---|---|---|---|---|"]
    for name, text in _MAPS.items():
        known = load(name, _Table)
        parts.append(f"| `{name}` | {text} | {known.name} | {known.revision or ''} | {_origin(known.source)} |")
    return "\n".join(parts).replace("JDV_AbsentOrUnknown*", "JDV_AbsentOrUnknown\\*") + "\n"


def _origin(source: Sequence[str]) -> str:
    first = source[0].replace("*", "\\*")
    return first if len(source) == 1 else f"{first} and {len(source) - 1} more of the same kind"


#: Page → what writes it.
PAGES: Final = MappingProxyType[str, Callable[[], str]]({
    "problems.md": problems,
    "settings.md": settings,
    "verbs.md": verbs,
    "events.md": events,
    "metrics.md": lambda: _MADE.format(where="`gateway/telemetry/metrics.py`, `gateway/cli/alerts.py`") + metrics_page(),
    "terminology.md": terminology,
    "identity-watch.md": lambda: _MADE.format(where="`gateway/store/tasks.py`, `reference_watch.py`") + identity_watch(),
})  # fmt: skip


def main(directory: Path) -> None:
    """Write every generated page into a folder."""
    directory.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (directory / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs"))
