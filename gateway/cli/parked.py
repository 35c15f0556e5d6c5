"""`dmp-gateway parked`: what could not be applied for a reason that is not its sender's."""

from datetime import timedelta
from pathlib import Path
from typing import Final

import click
import msgspec

from gateway.cli import console
from gateway.cli.ages import age, instant, seconds_since
from gateway.cli.configuration import read_configuration
from gateway.cli.data_option import config_option, data_option, json_option
from gateway.cli.reading import reading
from gateway.model.problems import CODES
from gateway.store.reader import Reader
from gateway.store.views import ParkedView, TraceLine
from gateway.wiring.clock import SystemClock
from gateway.wiring.data import DataDirectory

_CONFIG: Final = "The configuration, a TOML file: how long what is parked is kept."
_FILTERS: Final = ("source", "establishment", "patient", "message", "code", "since", "until")


class ParkedLine(ParkedView, frozen=True, kw_only=True):
    """One line of `parked list`."""

    #: The upkeep erases it then, and lists a task.
    kept_until: str


class ParkedPage(ParkedLine, frozen=True, kw_only=True):
    """`parked show ID`: the line, and what was done with it."""

    trace: tuple[TraceLine, ...] = ()


@click.group()
def parked() -> None:
    """
    See what was acknowledged and could not be applied, for a reason that is not its sender's.

    It is kept sealed, judged again after every change of its patient's rights, and erased when an opposition refuses it or its
    time is over ([retention] parked_days). These verbs show ids, codes and times, never content.
    """


@parked.command("list")
@click.option("--source", metavar="ID", help="Only this source.")
@click.option("--establishment", metavar="ID", help="Only this establishment.")
@click.option("--patient", metavar="INS|LOCAL", help="Only this patient's: INS or local number.")
@click.option("--message", metavar="MSH-10", help="Only this message control id.")
@click.option("--code", metavar="CODE", help="Only those parked with this problem code.")
@click.option("--since", metavar="ISO", help="Parked at or after, for example 2026-03-10 or 2026-03-10T08:00 (UTC).")
@click.option("--until", metavar="ISO", help="Parked before.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="How many at most, oldest first.")
@config_option(_CONFIG)
@data_option
@json_option
def list_parked(*, limit: int, config: Path | None, data: Path, as_json: bool, **filters: str | None) -> None:
    """
    List what is parked, the longest first.

    \b
    Examples:
      dmp-gateway parked list
      dmp-gateway parked list --source ris-valmont --json | jq -r .id
    """  # noqa: D301 - click reads this mark
    days = read_configuration(config, {}).settings.retention.parked_days
    chosen = {name: value for name in _FILTERS if (value := filters[name])}
    with reading(DataDirectory(data)) as reader:
        # One more than is shown: whether there are more.
        found = reader.parked(chosen, limit=limit + 1)
    lines = [_line(each, days) for each in found[:limit]]
    if as_json:
        for line in lines:
            console.json_line(line)
    elif lines:
        console.table(
            ("parked", "since", "source", "message", "code", "place", "attempts", "kept until", "id"),
            [
                (
                    line.parked_at[:19].replace("T", " "),
                    _since(line.parked_at),
                    line.source,
                    line.message_id,
                    line.code,
                    line.place,
                    str(line.attempts),
                    line.kept_until[:10],
                    line.id,
                )
                for line in lines
            ],
        )
    else:
        console.err.print("Nothing that is parked matches." if chosen else "Nothing is parked.")
    if len(found) > limit:
        console.err.print(f"There are more than {limit}: --limit shows them.")


@parked.command("show")
@click.argument("deposit_id", metavar="ID")
@config_option(_CONFIG)
@data_option
@json_option
def show_parked(*, deposit_id: str, config: Path | None, data: Path, as_json: bool) -> None:
    """Show one deposit that is parked: since when, why, where it failed, what was done with it, and what to do."""
    days = read_configuration(config, {}).settings.retention.parked_days
    with reading(DataDirectory(data)) as reader:
        found = reader.parked({"receipt": deposit_id}, limit=1)
        page = reader.deposit(deposit_id)
        if not found:
            _not_parked(deposit_id, reader)
    line = _line(found[0], days)
    shown = ParkedPage(**msgspec.structs.asdict(line), trace=() if page is None else page.trace)
    if as_json:
        console.json_line(shown)
    else:
        _print_page(shown)


def _print_page(page: ParkedPage) -> None:
    code = CODES.get(page.code)
    say = console.out.print
    say(f"Message  {page.message_id}  {page.message_type or ''}  from {page.source} ({page.establishment})")
    say(f"Id       {page.id}")
    say(f"Patient  {page.patient or 'not read'}")
    say("")
    say(f"Parked   {page.parked_at}  ({_since(page.parked_at)} ago), attempts {page.attempts}")
    say(f"Code     {page.code}" + (f": {code.text}" if code else ""))
    say(f"Place    {page.place}")
    say(f"Kept     sealed, until {page.kept_until}" + ("; it is about to be judged again" if page.review else ""))
    say("")
    say(f"{page.received_at}  received by door {page.door}")
    for line in page.trace:
        say(f"{line.at}  {line.action}  {' '.join(filter(None, (line.document, line.verdict, line.rule, line.statement)))}")
    say("")
    say(
        "→ It was acknowledged and is not in the record. The fault is the gateway's: report code and place, upgrade once mended, "
        f"then ask {page.source} to send message {page.message_id} again: it is judged anew. No verb stores what is parked."
    )


def _not_parked(deposit_id: str, reader: Reader) -> None:
    page = reader.deposit(deposit_id)
    if page is None:
        console.fail(f"No message has the id {deposit_id}.", "`dmp-gateway parked list` shows the ids.")
    expired = page.deposit.state == "parked"
    console.fail(
        f"{deposit_id} was parked; its time is over, and its content erased."
        if expired
        else f"{deposit_id} is not parked: it was {page.deposit.state}.",
        f"Ask {page.deposit.source} to send message {page.deposit.message_id} again."
        if expired
        else f"`dmp-gateway deposits show {deposit_id}` tells all of it.",
    )


def _line(found: ParkedView, days: int) -> ParkedLine:
    until = instant(found.parked_at) + timedelta(days=days)
    return ParkedLine(**msgspec.structs.asdict(found), kept_until=until.isoformat(timespec="seconds"))


def _since(parked_at: str) -> str:
    return age(seconds_since(parked_at, SystemClock().now()))
