"""`queue setup`: declare what the broker must hold, say what was found and made, refuse what does not fit."""

import enum
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import (
    AMQPConnectionError,
    AMQPError,
    ChannelClosedByBroker,
    ConnectionBlockedTimeout,
    ConnectionClosedByBroker,
    UnroutableError,
)

from gateway.model.base import Model
from gateway.queue.rabbitmq.topology import DEAD, EXCHANGE, Declared, declared, known_bad

_NOT_FOUND: Final = 404
_PRECONDITION_FAILED: Final = 406
#: How long an operator waits for a broker.
_CONNECT_SECONDS: Final = 10.0
#: Of a whole handshake, with TLS and half a second each way: one that was begun into a silent line keeps the next one waiting.
_HANDSHAKE_SECONDS: Final = 7.0
#: How long an operator waits for one that reads nothing.
_BLOCKED_SECONDS: Final = 5.0
#: What it means when a broker reads nothing of who publishes.
ALARM: Final = "it has an alarm (memory or disk) and takes nothing"
ALARM_ADVICE: Final = (
    "make room on its disk, or give it memory: until then every door answers AR; `rabbitmq-diagnostics alarms` names it"
)
#: What to do about one that cannot be reached.
WAY: Final = "see that it runs, and that host, port, user, password and virtual host of AMQP_URL are right"
#: What pika guesses from a connection that the broker closed, by the names of its errors.
_GUESSED: Final = MappingProxyType(
    {
        "ProbableAuthenticationError": "it refuses the user or the password",
        "ProbableAccessDeniedError": "it refuses the user this virtual host, or has none of this name",
        "IncompatibleProtocolError": "what answers there does not speak AMQP 0-9-1",
    }
)
#: Routes to nothing: what is sent under it comes back.
_NOWHERE: Final = "nowhere"


class BrokerUnusable(Exception):
    """The broker cannot be reached, or refuses what is needed; the text says which and what to do, and holds no password."""


class Step(enum.StrEnum):
    """What became of one thing."""

    FOUND = "found"
    MADE = "made"
    MISSING = "missing"
    REFUSED = "refused"
    WARNING = "warning"


class Line(Model, frozen=True, kw_only=True):
    """One line of the report."""

    what: str
    step: Step
    #: What is wrong and what to do; empty where nothing is.
    advice: str = ""


def parameters(url: str, *, name: str, heartbeat: int = 30) -> pika.URLParameters:
    """
    Return the connection parameters of a URL.

    Args:
        url: `amqp://user:password@host:5672/%2F`, or `amqps://`.
        name: Shown in the broker's list of connections.
        heartbeat: Seconds.

    Raises:
        BrokerUnusable: it is no such URL; the text does not repeat it.
    """
    if not url.startswith(("amqp://", "amqps://")):
        raise BrokerUnusable("AMQP_URL is no AMQP URL: it begins with amqp:// or amqps://")
    try:
        made = pika.URLParameters(url)
    except (ValueError, TypeError, ssl.SSLError) as failure:
        how = "write amqp://user:password@host:5672/%2F, and what is no letter and no digit of a password as %XX"
        raise BrokerUnusable(f"AMQP_URL is no AMQP URL ({type(failure).__name__}): {how}") from None
    made.heartbeat = heartbeat
    made.connection_attempts = 1
    made.socket_timeout = _CONNECT_SECONDS
    made.stack_timeout = _HANDSHAKE_SECONDS
    made.blocked_connection_timeout = None
    made.client_properties = {"connection_name": name, "product": "dmp-gateway"}
    return made


def where(url: str) -> str:
    """Return host, port and virtual host of a URL, for a message: never its user or password."""
    made = parameters(url, name="")
    return f"{made.host}:{made.port}{made.virtual_host if made.virtual_host.startswith('/') else '/' + made.virtual_host}"


def setup(url: str, sealed_limit_bytes: int, *, change: bool = True) -> tuple[Line, ...]:
    """
    Bring a broker to the layout, or look whether it has it.

    Args:
        url: The broker, as a user that may configure the virtual host.
        sealed_limit_bytes: The largest message that a door sends: whether the broker takes it is tried.
        change: Declare what is missing; else only tell. Bindings are made, and not told.

    Returns:
        What was found and made, line by line; a line that is refused says the way out.

    Raises:
        BrokerUnusable: it cannot be reached or lets this user do nothing.
    """
    with connected(url) as connection:
        version = _version(connection)
        lines = [Line(what=f"broker RabbitMQ {version} at {where(url)}", step=Step.FOUND)]
        lines += [
            Line(what=f"RabbitMQ {version}: {bad.what}", step=Step.WARNING, advice=bad.advice) for bad in known_bad(version)
        ]
        lines += [_exchange(connection, EXCHANGE, "direct", change=change), _exchange(connection, DEAD, "fanout", change=change)]
        published = next(line for line in lines if line.what.startswith(f"exchange {EXCHANGE} "))
        lines += [_queue(connection, each, change=change) for each in declared()]
        if published.step in {Step.FOUND, Step.MADE}:  # it is tried by sending to it
            lines.append(_largest(connection, sealed_limit_bytes))
        return tuple(lines)


class LaneState(Model, frozen=True, kw_only=True):
    """What a broker says of a lane."""

    #: `dead`: what was given up.
    lane: str
    queue: str
    #: Messages that are neither handed out nor given up; None: the queue is not there.
    ready: int | None
    consumers: int | None


def lanes_of(url: str) -> tuple[LaneState, ...]:
    """
    Return what each lane holds.

    Raises:
        BrokerUnusable: as `setup`.
    """
    found = []
    with connected(url) as connection:
        channel = connection.channel()
        for each in declared():
            ready = consumers = None
            try:
                told = channel.queue_declare(each.name, passive=True).method
                ready, consumers = int(told.message_count), int(told.consumer_count)
            except ChannelClosedByBroker as closed:
                if closed.reply_code != _NOT_FOUND:
                    raise
                channel = connection.channel()
            found.append(LaneState(lane=each.lane or "dead", queue=each.name, ready=ready, consumers=consumers))
    return tuple(found)


def counts(url: str) -> dict[str, int]:
    """
    Return how many messages of each lane are ready; a lane that is not there is left out.

    Raises:
        BrokerUnusable: as `setup`.
    """
    return {each.lane: each.ready for each in lanes_of(url) if each.ready is not None and each.lane != "dead"}


@contextmanager
def connected(url: str) -> Iterator[pika.BlockingConnection]:
    """
    Yield an operator's connection, which waits for a broker that has an alarm for seconds only.

    Raises:
        BrokerUnusable: it cannot be reached, or broke off.
    """
    asked = parameters(url, name="dmp-gateway setup")
    asked.blocked_connection_timeout = _BLOCKED_SECONDS
    try:
        connection = pika.BlockingConnection(asked)
    except (AMQPConnectionError, OSError) as failure:
        raise BrokerUnusable(f"the broker at {where(url)} cannot be reached: {told(failure)}") from None
    try:
        yield connection
    except ConnectionBlockedTimeout:
        raise BrokerUnusable(f"the broker at {where(url)}: {ALARM}") from None
    except AMQPError as failure:
        raise BrokerUnusable(f"the broker at {where(url)} broke off: {told(failure)}") from None
    finally:
        if connection.is_open:
            connection.close()


def told(failure: BaseException) -> str:
    """Return what a broker or the system said, in its own words where it is the broker's."""
    if isinstance(failure, (ChannelClosedByBroker, ConnectionClosedByBroker)):
        return f"{failure.reply_code} {failure.reply_text}"
    # Of the tries to connect the last; of each of them what the system said.
    tries = getattr(failure, "exceptions", ())
    inner = tries[-1] if tries else getattr(failure, "exception", failure.args[0] if failure.args else None)
    if isinstance(inner, BaseException):
        return told(inner)
    name = type(failure).__name__
    return getattr(failure, "strerror", None) or _GUESSED.get(name, name)


def _version(connection: pika.BlockingConnection) -> str:
    properties = connection._impl.server_properties or {}  # noqa: SLF001 - pika shows it nowhere else
    found = properties.get("version", b"")
    return found.decode("ascii", "replace") if isinstance(found, bytes) else str(found)


@contextmanager
def _channel(connection: pika.BlockingConnection) -> Iterator[BlockingChannel]:
    """A channel of its own: whatever the broker refuses closes it."""
    channel = connection.channel()
    try:
        yield channel
    finally:
        if channel.is_open:
            channel.close()


def _exchange(connection: pika.BlockingConnection, name: str, kind: str, *, change: bool) -> Line:
    what = f"exchange {name} ({kind})"
    try:
        with _channel(connection) as channel:
            channel.exchange_declare(name, passive=True)
    except ChannelClosedByBroker as closed:
        if closed.reply_code != _NOT_FOUND:
            return _refused(what, closed)
        if not change:
            return Line(what=what, step=Step.MISSING, advice="`dmp-gateway queue setup` makes it")
    else:
        with _channel(connection) as channel:
            try:
                channel.exchange_declare(name, kind, durable=True)
            except ChannelClosedByBroker as closed:
                return _refused(what, closed)
        return Line(what=what, step=Step.FOUND)
    try:
        with _channel(connection) as channel:
            channel.exchange_declare(name, kind, durable=True)
    except ChannelClosedByBroker as closed:
        return _refused(what, closed)
    return Line(what=what, step=Step.MADE)


def _queue(connection: pika.BlockingConnection, each: Declared, *, change: bool) -> Line:
    what = f"queue {each.name}"
    step = Step.FOUND
    try:
        with _channel(connection) as channel:
            channel.queue_declare(each.name, passive=True)
    except ChannelClosedByBroker as closed:
        if closed.reply_code != _NOT_FOUND:
            return _refused(what, closed)
        if not change:
            return Line(what=what, step=Step.MISSING, advice="`dmp-gateway queue setup` makes it")
        step = Step.MADE
    try:
        with _channel(connection) as channel:
            channel.queue_declare(each.name, durable=True, arguments=dict(each.arguments))
            if not change:  # what is bound is not to be seen by AMQP: `gateway.queue.rabbitmq.bindings`
                return Line(what=what, step=step)
            if each.lane is None:
                channel.queue_bind(each.name, DEAD)
            else:
                channel.queue_bind(each.name, EXCHANGE, each.lane)
    except ChannelClosedByBroker as closed:
        return _refused(what, closed)
    return Line(what=what, step=step)


def _largest(connection: pika.BlockingConnection, size: int) -> Line:
    """Try whether the broker takes the largest message: sent to nowhere, it comes back, or the channel is closed."""
    what = f"messages of {size} bytes"
    try:
        with _channel(connection) as channel:
            channel.confirm_delivery()
            channel.basic_publish(EXCHANGE, _NOWHERE, bytes(size), mandatory=True)
    except UnroutableError:
        return Line(what=what, step=Step.FOUND)
    except ConnectionBlockedTimeout:
        return Line(what=f"{what}: {ALARM}", step=Step.REFUSED, advice=ALARM_ADVICE)
    except ChannelClosedByBroker as closed:
        advice = "raise the broker's max_message_size, or lower [queue] sealed_limit_bytes"
        return Line(what=f"{what}: {told(closed)}", step=Step.REFUSED, advice=advice)
    return Line(what=what, step=Step.FOUND)


def _refused(what: str, closed: ChannelClosedByBroker) -> Line:
    advice = {
        _PRECONDITION_FAILED: (
            "it is there with other arguments, made by another hand: let the workers drain it, delete it "
            "(`rabbitmqctl delete_queue NAME`), and run `dmp-gateway queue setup` again"
        ),
    }.get(closed.reply_code, "give this user the right to configure, write and read dmpgw.* in this virtual host")
    return Line(what=f"{what}: {told(closed)}", step=Step.REFUSED, advice=advice)
