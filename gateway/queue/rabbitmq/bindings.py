"""Whether each lane is bound to its exchange: AMQP shows nobody a binding, the management plug-in does."""

from collections.abc import Iterable, Iterator

from gateway.queue.rabbitmq.management import Management, NoManagement
from gateway.queue.rabbitmq.setup import Line, Step
from gateway.queue.rabbitmq.topology import DEAD, EXCHANGE, declared


def unbound(url: str, place: str, lines: Iterable[Line]) -> Iterator[Line]:
    """
    Yield a line for each queue that is there and lost its binding, changing nothing; a warning where nobody tells.

    Args:
        url: The broker.
        place: Of the plug-in; see `Management`.
        lines: What `setup` found: what is missing as a whole is not told twice.

    Raises:
        BrokerUnusable: the broker's URL is none.
    """
    there = {line.what for line in lines if line.step is Step.FOUND}
    try:
        found = Management(url, place).bindings()
    except NoManagement as missing:
        yield Line(
            what=f"bindings were not looked at: {missing}",
            step=Step.WARNING,
            advice=f"`dmp-gateway queue setup` makes those that are gone; to see them, {missing.advice}",
        )
        return
    # What is given up goes to every queue that is bound there, under whatever key.
    bound = {(each.source, each.destination, None if each.source == DEAD else each.routing_key) for each in found}
    for each in declared():
        exchange = DEAD if each.lane is None else EXCHANGE
        if f"queue {each.name}" in there and (exchange, each.name, each.lane) not in bound:
            yield Line(
                what=f"binding of {each.name} to {exchange}",
                step=Step.MISSING,
                advice="`dmp-gateway queue setup` makes it; until then what belongs there is answered AR",
            )
