"""`dmp-gateway record`: what identity watch does: files merged and parted, documents moved and released, the list of tasks."""

from pathlib import Path
from typing import Any, Final

import click
import msgspec

from gateway.cli import console
from gateway.cli.data_option import config_option, data_option, json_option, run_verb
from gateway.cli.patient_options import ROOTS, patient_of, patient_options
from gateway.cli.reading import reading
from gateway.cli.saying import say
from gateway.cli.side_options import side_of, side_options
from gateway.model.outcome import Outcome
from gateway.store.watch_views import MisfiledLine, TaskLine
from gateway.wiring.data import DataDirectory
from gateway.wiring.naming import UNSAID
from gateway.wiring.watch_verbs import Ending, Merging, Moving, Releasing, Unmerging

_OFFLINE_CONFIG: Final = config_option(
    "The configuration that `serve` gets (asked only where no gateway runs); without one, the sample configuration."
)
_TASK_FILTERS: Final = ("kind", "patient", "document", "since", "until")
_signed_by: Final = click.option(
    "--signed-by", "signed_by", multiple=True, required=True, metavar="NAME", help="Who signs it: twice, two different persons."
)


@click.command("merge", short_help="Two files are one person's: merge them.")
@patient_options
@side_options("absorbed", "the file that disappears")
@_signed_by
@data_option
@_OFFLINE_CONFIG
@json_option
def merge(*, signed_by: tuple[str, ...], data: Path, config: Path | None, as_json: bool, **sides: Any) -> None:
    """
    Merge two files of one person. Two persons of the identity watch sign it; no message merges two INS or two records.

    The file of --ins or --local stays, unless the other one alone has a record: then that one does. Identifiers of both lead to
    it from now on, an old INS is an alias. Documents move with their history. What protects more wins: every opposition in force
    on either side stays in force, the record is open only if both were. The list of tasks says what to ask the patient.

    \b
    Example:
      dmp-gateway record merge --ins 284103523811464 --absorbed-local chu-valmont/ipp:100001 \\
          --signed-by "A. Martin" --signed-by "B. Petit"
    """  # noqa: D301 - click reads this mark
    merging = Merging(
        patient=patient_of(sides["ins"], sides["root"], sides["local"]), absorbed=side_of("absorbed", sides), signed_by=signed_by
    )
    result = run_verb(data, config, "record.merge", merging)
    receipt = msgspec.json.decode(result, type=Outcome).receipt
    say(
        result,
        f"The two files are one; `record tasks` says what is still to be done. To undo it: `record unmerge {receipt}`.",
        "They were one file already.",
        as_json=as_json,
    )


@click.command("unmerge", short_help="Undo a merge that was wrong.")
@click.argument("receipt")
@_signed_by
@data_option
@_OFFLINE_CONFIG
@json_option
def unmerge(*, receipt: str, signed_by: tuple[str, ...], data: Path, config: Path | None, as_json: bool) -> None:
    """
    Undo the merge of RECEIPT: that of an A40 or of `record merge`, as `deposits list` shows it.

    Identifiers and documents of the absorbed file go back, and what came since under one of its identifiers. No statement ceases
    to bind: each binds both files until the patient has sorted them. `record tasks` lists what came since and could be either's.

    \b
    Example:
      dmp-gateway record unmerge RECEIPT --signed-by "A. Martin" --signed-by "B. Petit"
    """  # noqa: D301 - click reads this mark
    say(
        run_verb(data, config, "record.unmerge", Unmerging(merge=receipt, signed_by=signed_by)),
        "The files are two again; `record tasks` says what is still to be done.",
        "This merge was undone before.",
        as_json=as_json,
    )


@click.command("misfiled", short_help="List documents stored under a link that has ended.")
@patient_options
@data_option
@json_option
def misfiled(*, ins: str | None, root: str | None, local: str | None, data: Path, as_json: bool) -> None:
    """
    List the documents that came under a local number while it named somebody whom it does not name any more.

    Their metadata only, in whose record they are, and when the link ended. With --ins only those in that record. A document that
    belongs to somebody else goes there by `record move`.

    \b
    Example:
      dmp-gateway record misfiled --local chu-valmont/ipp:100001
    """  # noqa: D301 - click reads this mark
    if local is None:
        message = "give the local identifier that the documents came under: --local ESTABLISHMENT/DOMAIN:VALUE"
        raise click.UsageError(message)
    under = patient_of(None, None, local)
    records = [None] if ins is None else _keys(ins, root)
    with reading(DataDirectory(data)) as reader:
        lines = [line for record in records for line in reader.misfiled(*under.key, record=record)]
    if as_json:
        for line in lines:
            console.json_line(line)
    elif lines:
        _print_misfiled(lines)
    else:
        console.err.print("No document was stored under a link of this number that has ended.")


def _keys(ins: str, root: str | None) -> list[tuple[str, str]]:
    typed = patient_of(ins, root, None)
    return [(authority, typed.value) for authority in (ROOTS.values() if typed.authority == UNSAID else (typed.authority,))]


def _print_misfiled(lines: list[MisfiledLine]) -> None:
    console.table(
        ("document", "title", "type", "created", "state", "owner", "deposited", "in the record of", "linked until"),
        [
            (
                line.unique_id,
                line.title,
                line.type_code,
                line.creation_time,
                line.state + (" withheld" if line.withheld else ""),
                line.owner,
                line.committed_at,
                line.patient or "",
                line.linked_until,
            )
            for line in lines
        ],
    )


@click.command("move", short_help="Move a document to the record that it belongs to.")
@click.argument("document")
@side_options("from", "the record that it is in")
@side_options("to", "the record that it belongs to")
@_signed_by
@data_option
@_OFFLINE_CONFIG
@json_option
def move(*, document: str, signed_by: tuple[str, ...], data: Path, config: Path | None, as_json: bool, **sides: Any) -> None:
    """
    Move DOCUMENT (its uniqueId) with every version of it to another record. Two persons of the identity watch sign it.

    It is judged as if it were deposited there now: where the record is closed, or an opposition in force binds it, nothing moves.

    \b
    Example:
      dmp-gateway record move 1.2.250.1.999.1.77 --from-ins 284103523811464 --to-ins 279035121518989 \\
          --signed-by "A. Martin" --signed-by "B. Petit"
    """  # noqa: D301 - click reads this mark
    moving = Moving(document=document, source=side_of("from", sides), to=side_of("to", sides), signed_by=signed_by)
    say(run_verb(data, config, "record.move", moving), "It is in the other record now.", "It was there already.", as_json=as_json)


@click.command("release", short_help="Show a withheld document again.")
@click.argument("document")
@patient_options
@click.option("--by", required=True, metavar="NAME", help="Who took the patient's wish down.")
@data_option
@_OFFLINE_CONFIG
@json_option
def release(
    *,
    document: str,
    ins: str | None,
    root: str | None,
    local: str | None,
    by: str,
    data: Path,
    config: Path | None,
    as_json: bool,
) -> None:
    """
    Show DOCUMENT (its uniqueId) again, because the patient says so: a late opposition had withheld it (O-7).

    \b
    Example:
      dmp-gateway record release 1.2.250.1.999.1.77 --ins 284103523811464 --by "Mme Martin, admissions"
    """  # noqa: D301 - click reads this mark
    releasing = Releasing(patient=patient_of(ins, root, local), document=document, by=by)
    say(run_verb(data, config, "record.release", releasing), "It is shown again.", "It was not withheld.", as_json=as_json)


@click.command("tasks", short_help="List what a person must look at.")
@click.option("--kind", metavar="KIND", help="Only this kind, for example identity.conflict.")
@click.option("--patient", metavar="INS|LOCAL", help="Only this patient's: INS or local number.")
@click.option("--document", metavar="ID", help="Only those about this document.")
@click.option("--since", metavar="ISO", help="Listed at or after, for example 2026-03-10 (UTC).")
@click.option("--until", metavar="ISO", help="Listed before.")
@click.option("--done", is_flag=True, help="What was done, and by whom, instead of what is open.")
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=200, show_default=True, help="How many at most, oldest first."
)
@data_option
@json_option
def tasks(*, done: bool, limit: int, data: Path, as_json: bool, **filters: str | None) -> None:
    """
    List what a person must look at: identities, withheld documents, statements that could not be read, oldest first.

    \b
    Examples:
      dmp-gateway record tasks
      dmp-gateway record tasks --kind document.withheld --json | jq -r .document
      dmp-gateway record task-done 12 --by "A. Martin"
    """  # noqa: D301 - click reads this mark
    chosen = {name: value for name in _TASK_FILTERS if (value := filters[name])}
    with reading(DataDirectory(data)) as reader:
        lines = reader.tasks(chosen, done=done, limit=limit)
    if as_json:
        for line in lines:
            console.json_line(line)
    elif lines:
        _print_tasks(lines, done=done)
    else:
        console.err.print("Nothing was done." if done else "Nothing waits for a person.")


def _print_tasks(lines: list[TaskLine], *, done: bool) -> None:
    console.table(
        ("task", "kind", "since", "patient", "document", "detail", "done" if done else "to do"),
        [
            (
                str(line.id),
                line.kind,
                line.since[:19].replace("T", " "),
                line.patient or "",
                line.document or "",
                line.detail or "",
                f"{(line.done_at or '')[:19].replace('T', ' ')} {line.done_by or ''}" if done else line.to_do,
            )
            for line in lines
        ],
    )


@click.command("task-done", short_help="Say that a task is done, and by whom.")
@click.argument("task", type=click.IntRange(1, 2**63 - 1))
@click.option("--by", required=True, metavar="NAME", help="Who did it; kept with the task and in the trace (R-35).")
@data_option
@_OFFLINE_CONFIG
@json_option
def task_done(*, task: int, by: str, data: Path, config: Path | None, as_json: bool) -> None:
    """
    Say that TASK, a number of `record tasks`, is done.

    \b
    Example:
      dmp-gateway record task-done 12 --by "A. Martin"
    """  # noqa: D301 - click reads this mark
    say(
        run_verb(data, config, "record.task_done", Ending(task=task, by=by)),
        "It is off the list.",
        "It was done before.",
        as_json=as_json,
    )


#: Every verb of this file, in the order of `record --help`.
WATCH_COMMANDS: Final = (merge, unmerge, misfiled, move, release, tasks, task_done)
