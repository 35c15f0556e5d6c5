"""`dmp-gateway queue`: what waits, lane by lane; the lanes of a broker."""

from pathlib import Path
from typing import Final, NoReturn

import click

from gateway.cli import console
from gateway.cli.configuration import read_configuration
from gateway.cli.data_option import config_option, data_option, json_option
from gateway.cli.queue_status import UNSOUND, LaneLine, broker_lines, file_lines, print_lines
from gateway.queue.rabbitmq.bindings import unbound
from gateway.queue.rabbitmq.setup import WAY, BrokerUnusable, Step, setup
from gateway.queue.rabbitmq.status import DEAD_LANE
from gateway.wiring.broker import amqp_url
from gateway.wiring.data import DataDirectory

#: More lanes than this are counted, not named.
_NAMED: Final = 8


@click.group()
def queue() -> None:
    """See what waits, lane by lane; declare the lanes of the broker that AMQP_URL names."""


@queue.command("setup")
@config_option("The configuration, a TOML file: the largest message that a door sends.")
@click.option("--check", is_flag=True, help="Look and change nothing; exit status 1 where something is missing.")
@json_option
def setup_broker(*, config: Path | None, check: bool, as_json: bool) -> None:
    """
    Declare exchanges and lanes: what is there already is found, what is missing is made, what does not fit is refused.

    Can be repeated at any time. Needs a user that may configure dmpgw.* in the virtual host. Whether each lane is still bound to
    its exchange is shown to --check by RabbitMQ's management plug-in alone; without it a line says so.
    """
    settings = read_configuration(config, {}).settings
    broker = amqp_url()
    if broker is None:
        console.usage("There is no broker.", "Set AMQP_URL=amqp://user:password@host:5672/%2F.")
    try:
        lines = setup(broker, settings.queue.sealed_limit_bytes, change=not check)
        if check:
            lines += tuple(unbound(broker, settings.queue.management_url, lines))
    except BrokerUnusable as unusable:
        console.fail(f"{unusable}.", f"To do: {WAY}. " + ("Nothing was changed." if check else "What was declared before stays."))
    if as_json:
        for line in lines:
            console.json_line(line)
    else:
        console.table(("step", "what", "what to do"), [(line.step.value, line.what, line.advice) for line in lines])
    wrong = [line for line in lines if line.step in {Step.REFUSED, Step.MISSING}]
    if wrong:
        console.fail(f"{len(wrong)} of {len(lines)} are not as they must be.", "Follow the lines above.")


@queue.command("status")
@config_option("The configuration, a TOML file: where the broker's management plug-in answers.")
@data_option
@json_option
def status(*, config: Path | None, data: Path, as_json: bool) -> None:
    """
    Show what each lane holds: what is ready, what is handed out, how long the oldest waits, who takes it.

    Without AMQP_URL the lanes are those of the data directory's file. With it, the workers tell what they have in hand and since
    when: that needs their keys (--data). What has passed, and who is active of several, is told by RabbitMQ's management plug-in
    where it is enabled. "?" is what nobody tells; the reason follows the table.

    \b
    Exit status: 0 all well, 1 messages were given up, a lane is missing or down, or nobody takes from one; 2 usage.
    """  # noqa: D301 - click reads this mark
    broker, directory = amqp_url(), DataDirectory(data)
    if broker is None:
        lines = file_lines(directory)
        print_lines(lines, as_json=as_json)
        if not lines[0].consumers:
            console.fail("Nobody takes: no gateway runs on this data directory.", "Start it: `dmp-gateway serve`.")
        return
    settings = read_configuration(config, {}).settings
    try:
        lines = broker_lines(broker, directory, settings.queue.management_url, as_json=as_json)
    except BrokerUnusable as unusable:
        console.fail(f"{unusable}.", f"To do: {WAY}; until it is reached every door answers AR.")
    _judge(lines)


def _judge(lines: list[LaneLine]) -> None:
    """End with status 1 where the lanes are not as they must be."""
    given_up = next((line.ready or 0 for line in lines if line.lane == DEAD_LANE), 0)
    if given_up:
        console.fail(
            f"{given_up} messages were given up: no door of ours sealed them, or the broker dropped them.",
            "Nothing of ours ever goes there: find out who writes to these lanes (docs/broker.md).",
        )
    if any(line.ready is None for line in lines):
        _wrong("missing", [line for line in lines if line.ready is None], "`dmp-gateway queue setup` makes them.")
    if any(line.state in UNSOUND for line in lines):
        advice = "Too few of its nodes are up: see `rabbitmq-diagnostics cluster_status` and `dmp-gateway doctor`."
        _wrong("down", [line for line in lines if line.state in UNSOUND], advice)
    idle = [line for line in lines if not line.consumers and line.lane != DEAD_LANE]
    if idle:
        _wrong("taken by nobody", idle, "Start a worker: `dmp-gateway serve`, or `dmp-gateway worker`.")


def _wrong(how: str, lines: list[LaneLine], advice: str) -> NoReturn:
    names = f"all {len(lines)}" if len(lines) > _NAMED else ", ".join(line.lane for line in lines)
    console.fail(f"{'Lanes are' if len(lines) > 1 else 'A lane is'} {how}: {names}.", advice)
