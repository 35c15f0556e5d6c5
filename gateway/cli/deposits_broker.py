"""What `deposits list` says of a broker: its messages are sealed, and cannot be listed there."""

from gateway.cli import console
from gateway.cli.waiting_words import held_words
from gateway.queue import lanes
from gateway.queue.rabbitmq.setup import BrokerUnusable, counts
from gateway.wiring.data import DataDirectory
from gateway.wiring.lanes import lanes_status


def say_held(broker: str, directory: DataDirectory, listed: int | None) -> None:
    """Say what the broker holds beside what was listed: its messages are sealed, and cannot be listed."""
    try:
        found = lanes_status(broker, directory)
    except BrokerUnusable as unusable:
        console.fail(
            f"What the broker holds cannot be told: {unusable}.", "What is listed was acknowledged here and is not decided."
        )
    ready, handed_out = found.deposits()
    console.err.print(f"The broker holds {held_words(found)}: sealed, so listed only as far as this machine's doors took them.")
    if listed is None:
        return
    if listed < ready:
        console.err.print(
            "The others came by another machine's doors, or this machine's journal is gone: run this on the others."
        )
    elif handed_out is not None and listed > ready + handed_out:
        console.err.print(
            f"{listed - ready - handed_out} of those listed are not there: decided meanwhile, or lost by a restore: "
            "`dmp-gateway db missing` tells."
        )


def say_ready(broker: str) -> None:
    """Say that messages wait in the broker: they are not in the list."""
    try:
        ready = sum(count for lane, count in counts(broker).items() if lane in lanes.CARRYING)
    except BrokerUnusable as unusable:
        console.err.print(f"What waits in the broker cannot be told: {unusable}.")
        return
    if ready:
        console.err.print(
            f"{ready} more wait in the broker: `dmp-gateway deposits list --state queued`, `dmp-gateway queue status`."
        )
