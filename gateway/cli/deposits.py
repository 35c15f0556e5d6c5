"""`dmp-gateway deposits`: where messages went, and why."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from gateway.cli import console
from gateway.cli.data_option import data_option, json_option
from gateway.cli.reading import reading, require_store
from gateway.model.ports import FileUnusable
from gateway.model.problem import Problem
from gateway.model.problems import CODES
from gateway.model.verdict import Verdict
from gateway.store.views import DepositLine, DepositPage
from gateway.wiring.broker import amqp_url
from gateway.wiring.data import DataDirectory
from gateway.wiring.waiting import (
    TOLD_IN_FILE,
    TOLD_IN_JOURNAL,
    undecided_deposit,
    undecided_deposits,
    waiting_deposits,
)

_STATES: Final = ("queued", *(verdict.value for verdict in Verdict))
_FILTERS: Final = ("source", "establishment", "patient", "message", "document", "code", "since", "until")


@click.group()
def deposits() -> None:
    """See where messages went and why: ids, codes and times, never their content."""


@deposits.command("list")
@click.option("--state", type=click.Choice(_STATES), help="Only those that ended so (or still wait: queued).")
@click.option("--source", metavar="ID", help="Only this source.")
@click.option("--establishment", metavar="ID", help="Only this establishment.")
@click.option("--patient", metavar="INS|LOCAL", help="Only this patient's: INS or local number.")
@click.option("--message", metavar="MSH-10", help="Only this message control id.")
@click.option("--document", metavar="ID", help="Only those that carried this document id.")
@click.option("--code", metavar="CODE", help="Only those with this problem code, for example OPPOSED.")
@click.option("--since", metavar="ISO", help="Received at or after, for example 2026-03-10 or 2026-03-10T08:00 (UTC).")
@click.option("--until", metavar="ISO", help="Received before.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="How many at most, newest first.")
@data_option
@json_option
def list_deposits(*, state: str | None, limit: int, data: Path, as_json: bool, **filters: str | None) -> None:
    """
    List messages, newest first.

    What waits is sealed: of it only source and time of reception are known here, and, over a broker, what the journal of this
    machine's doors says of it; what other machines' doors acknowledged is listed there.

    \b
    Examples:
      dmp-gateway deposits list --state rejected
      dmp-gateway deposits list --patient 284103523811464 --json | jq -r .state
    """  # noqa: D301 - click reads this mark
    directory = _store(data)
    chosen = {name: value for name in _FILTERS if (value := filters[name])}
    broker = amqp_url()
    lines: list[DepositLine] = []
    if state in {None, "queued"}:
        lines.extend(_waiting(directory, chosen))
    if state == "queued" and broker is not None:
        lines.extend(_acknowledged(directory, chosen))
    if state != "queued":
        with reading(directory) as reader:
            decided = reader.deposits({**({"state": state} if state else {}), **chosen}, limit=limit)
        known = {line.id for line in decided}
        lines = [line for line in lines if line.id not in known] + decided
    _print_lines(lines[:limit], as_json=as_json, none=_none(asked=bool(chosen or state), broker=broker is not None))
    if state in {None, "queued"}:
        _say_untold(chosen, TOLD_IN_FILE if broker is None else TOLD_IN_JOURNAL, only_queued=state is not None)
    if broker is not None and state in {None, "queued"}:
        from gateway.cli.deposits_broker import say_held, say_ready  # a broker's library is loaded where there is one

        if state is None:
            say_ready(broker)
        else:
            say_held(broker, directory, None if chosen else len(lines))


def _none(*, asked: bool, broker: bool) -> str:
    if asked:
        return "No message matches."
    return "No message is decided." if broker else "No message yet. Send one: dmp-gateway send --example mdm"


def _print_lines(lines: list[DepositLine], *, as_json: bool, none: str) -> None:
    if as_json:
        for line in lines:
            console.json_line(line)
        return
    if not lines:
        console.err.print(none)
        return
    console.table(
        ("received", "source", "message", "act", "state", "codes", "patient", "documents", "id"),
        [
            (
                line.received_at[:19].replace("T", " "),
                line.source,
                line.message_id,
                line.act or "",
                line.state,
                " ".join(line.codes),
                line.patient or "",
                " ".join(line.document_ids),
                line.id,
            )
            for line in lines
        ],
    )


@deposits.command("show")
@click.argument("deposit_id", metavar="ID")
@data_option
@json_option
def show_deposit(*, deposit_id: str, data: Path, as_json: bool) -> None:
    """Show one message: its timeline, what became of each document, the rule, and what to do."""
    directory = _store(data)
    # Looked for once more at the end: it may have gone from the queue to the store while it was looked for.
    page = _decided(directory, deposit_id) or _queued(directory, deposit_id) or _decided(directory, deposit_id)
    if page is None:
        console.fail(f"No message has the id {deposit_id}.", "`dmp-gateway deposits list` shows the ids.")
    if as_json:
        console.json_line(page)
        return
    _print_page(page)


def _print_page(page: DepositPage) -> None:
    deposit, outcome = page.deposit, page.outcome
    console.out.print(
        f"Message  {deposit.message_id}  {page.message_type or ''}  from {deposit.source} ({deposit.establishment})"
    )
    console.out.print(f"Id       {deposit.id}")
    console.out.print(f"Patient  {deposit.patient or 'not read'}")
    console.out.print(f"Act      {deposit.act or 'none'}   documents {' '.join(deposit.document_ids) or 'none'}")
    console.out.print("")
    # Of what waits the door is sealed with it.
    console.out.print(f"{deposit.received_at}  received" + (f" by door {deposit.door}" if deposit.door else ""))
    for line in page.trace:
        what = " ".join(filter(None, (line.document, line.verdict, line.rule, line.statement)))
        console.out.print(f"{line.at}  {line.action}  {what}")
    if outcome is None:
        console.out.print("                                  waits in the queue")
        if amqp_url() is not None:
            console.err.print(
                "It was acknowledged and is not decided: it waits in the broker (`dmp-gateway queue status`), or was lost by a "
                "restore (`dmp-gateway db missing`)."
            )
        return
    rule = f"  by rule {outcome.rule}" if outcome.rule else ""
    console.out.print(f"{page.decided_at}  decided: {outcome.verdict.value}{rule}")
    if outcome.statement:
        console.out.print(f"         statement {outcome.statement}")
    if outcome.first:
        console.out.print(f"         first deposit {outcome.first}")
    for problem in outcome.problems:
        _print_problem(problem)
    if deposit.state == Verdict.PARKED.value:
        console.out.print(f"\n  `dmp-gateway parked show {deposit.id}` tells where it failed and what to do.")
    for document in outcome.documents:
        console.out.print(
            f"\n  document {document.unique_id}: {document.verdict.value}" + (f"  {document.rule}" if document.rule else "")
        )
        for problem in document.problems:
            _print_problem(problem)


def _print_problem(problem: Problem) -> None:
    code = CODES[problem.code]
    place = f"  at {problem.place}" if problem.place else ""
    detail = f" ({problem.detail})" if problem.detail else ""
    console.out.print(f"\n  {problem.severity.value} {code.code}{place}\n    {code.text}{detail}\n    → {code.advice}")


def _decided(directory: DataDirectory, deposit_id: str) -> DepositPage | None:
    with reading(directory) as reader:
        return reader.deposit(deposit_id)


def _queued(directory: DataDirectory, deposit_id: str) -> DepositPage | None:
    waiting = next((line for line in _waiting(directory, {}) if line.id == deposit_id), None)
    if waiting is None and amqp_url() is not None:
        with _listing():
            waiting = undecided_deposit(directory, deposit_id)
    return None if waiting is None else DepositPage(deposit=waiting, decided_at=None, message_type=None, outcome=None)


def _waiting(directory: DataDirectory, filters: dict[str, str]) -> list[DepositLine]:
    with _listing():
        return waiting_deposits(directory, filters)


def _acknowledged(directory: DataDirectory, filters: dict[str, str]) -> list[DepositLine]:
    """Return what this machine's doors acknowledged and the store has not decided."""
    with _listing(), reading(directory) as reader:
        return undecided_deposits(directory, reader, filters)


@contextmanager
def _listing() -> Iterator[None]:
    try:
        yield
    except FileUnusable as unusable:
        console.fail(f"What waits cannot be listed: {unusable}.", "`dmp-gateway doctor` tells more.")


def _say_untold(filters: dict[str, str], told: frozenset[str], *, only_queued: bool) -> None:
    """Say that what waits was not looked into, where it was asked for something that is sealed."""
    sealed = sorted(set(filters) - told)
    if sealed and only_queued:
        options, known = ", ".join(f"--{name}" for name in sealed), ", ".join(f"--{name}" for name in sorted(told))
        console.err.print(f"What waits is sealed: nothing tells {options} of it before it is decided; {known} can be asked.")


def _store(data: Path) -> DataDirectory:
    directory = DataDirectory(data)
    require_store(directory)
    return directory
