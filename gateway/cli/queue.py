"""`dmp-gateway queue`: the lanes of a broker."""

from pathlib import Path

import click

from gateway.cli import console
from gateway.cli.configuration import read_configuration
from gateway.cli.data_option import config_option, json_option
from gateway.model.base import Model
from gateway.queue.rabbitmq.setup import BrokerUnusable, Step, lanes_of, setup
from gateway.wiring.broker import amqp_url


class LaneLine(Model, frozen=True, kw_only=True):
    """One lane of `queue status`."""

    lane: str
    queue: str
    #: Messages that are neither handed out nor given up; None: the queue is not there.
    ready: int | None
    consumers: int | None


@click.group()
def queue() -> None:
    """
    Declare the lanes of the broker that AMQP_URL names, and see what they hold.

    Without AMQP_URL what waits lies in the data directory: `dmp-gateway deposits list --state queued`.
    """


@queue.command("setup")
@config_option("The configuration, a TOML file: the largest message that a door sends.")
@click.option("--check", is_flag=True, help="Look and change nothing; exit status 1 where something is missing.")
@json_option
def setup_broker(*, config: Path | None, check: bool, as_json: bool) -> None:
    """
    Declare exchanges and lanes: what is there already is found, what is missing is made, what does not fit is refused.

    Can be repeated at any time. Needs a user that may configure dmpgw.* in the virtual host.
    """
    settings = read_configuration(config, {}).settings
    try:
        lines = setup(_broker(), settings.queue.sealed_limit_bytes, change=not check)
    except BrokerUnusable as unusable:
        console.fail(str(unusable), "Nothing was changed." if check else "What was declared before stays.")
    if as_json:
        for line in lines:
            console.json_line(line)
    else:
        console.table(("step", "what", "what to do"), [(line.step.value, line.what, line.advice) for line in lines])
    wrong = [line for line in lines if line.step in {Step.REFUSED, Step.MISSING}]
    if wrong:
        console.fail(f"{len(wrong)} of {len(lines)} are not as they must be.", "Follow the lines above.")


@queue.command("status")
@json_option
def status(*, as_json: bool) -> None:
    """Show what each lane holds and how many take from it; exit status 1 where messages were given up or nobody takes them."""
    try:
        found = lanes_of(_broker())
    except BrokerUnusable as unusable:
        console.fail(str(unusable), "`dmp-gateway queue setup --check` tells what the broker lacks.")
    lines = [LaneLine(lane=each.lane, queue=each.queue, ready=each.ready, consumers=each.consumers) for each in found]
    if as_json:
        for line in lines:
            console.json_line(line)
    else:
        rows = [
            (
                line.lane,
                "missing" if line.ready is None else str(line.ready),
                "" if line.consumers is None else str(line.consumers),
            )
            for line in lines
        ]
        console.table(("lane", "ready", "consumers"), rows)
    given_up = next((line.ready or 0 for line in lines if line.lane == "dead"), 0)
    if given_up:
        console.fail(
            f"{given_up} messages were given up: no door of ours sealed them, or the broker dropped them.",
            "Nothing of ours ever goes there: find out who writes to these lanes (docs/broker.md).",
        )
    if any(line.ready is None for line in lines):
        console.fail("Lanes are missing.", "`dmp-gateway queue setup` makes them.")
    if any(line.consumers == 0 for line in lines if line.lane != "dead"):
        console.fail("Nobody takes from a lane.", "Start a worker: `dmp-gateway serve`, or `dmp-gateway worker`.")


def _broker() -> str:
    broker = amqp_url()
    if broker is None:
        console.usage("There is no broker.", "Set AMQP_URL=amqp://user:password@host:5672/%2F.")
    return broker
