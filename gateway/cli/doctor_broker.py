"""What `doctor` says of the broker that AMQP_URL names."""

from collections.abc import Iterator

from gateway.cli.findings import Finding
from gateway.queue.rabbitmq.setup import BrokerUnusable, Step, lanes_of, setup


def broker(url: str, sealed_limit_bytes: int) -> Iterator[Finding]:
    """
    Yield how a broker is, changing nothing: reached, of a version without known faults, with all its lanes, nothing given up.

    Args:
        url: The broker.
        sealed_limit_bytes: The largest message that a door sends.
    """
    try:
        lines = setup(url, sealed_limit_bytes, change=False)
        given_up = next((lane.ready or 0 for lane in lanes_of(url) if lane.lane == "dead"), 0)
    except BrokerUnusable as unusable:
        yield Finding(
            subject="broker", state="problem", text=str(unusable), advice="every door answers AR until it is reached again"
        )
        return
    wrong = [line for line in lines if line.step in {Step.REFUSED, Step.MISSING}]
    if wrong:
        advice = "`dmp-gateway queue setup --check` lists them, `dmp-gateway queue setup` makes what is missing"
        yield Finding(subject="broker", state="problem", text=f"{len(wrong)} of its parts are not as they must be", advice=advice)
    else:
        yield Finding(subject="broker", state="ok", text=f"{lines[0].what}, all {len(lines) - 1} parts of the layout")
    for line in lines:
        if line.step is Step.WARNING:
            yield Finding(subject="broker", state="note", text=line.what, advice=line.advice)
    if given_up:
        yield Finding(
            subject="broker",
            state="problem",
            text=f"{given_up} messages were given up",
            advice="find out who writes to these lanes (docs/broker.md)",
        )
