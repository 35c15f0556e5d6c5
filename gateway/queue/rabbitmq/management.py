"""
What RabbitMQ's management plug-in tells, where it is there: what is handed out, who is active, alarms, policies.

It refreshes its numbers every few seconds, and knows no age of a message in a quorum queue: `gateway.queue.rabbitmq.workers`.
"""

import base64
import http.client
import ssl
import urllib.parse
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec
from pika.credentials import PlainCredentials

from gateway.queue.rabbitmq.setup import parameters
from gateway.queue.rabbitmq.topology import PREFIX

_T = TypeVar("_T")

_SECONDS: Final = 5.0
_PORTS: Final = {"http": 15672, "https": 15671}
#: A cluster's whole answer is a hundred times smaller.
_ANSWER_BYTES: Final = 16 * 1024 * 1024
_OK: Final = 200
_UNAUTHORISED: Final = 401
_FORBIDDEN: Final = 403

ENABLE: Final = "enable the management plug-in: `rabbitmq-plugins enable rabbitmq_management` on each node"
_TAG: Final = "give AMQP_URL's user the tag: `rabbitmqctl set_user_tags USER monitoring`"


class NoManagement(Exception):
    """The plug-in cannot be asked; the text says why, `advice` what to do. Neither holds a password."""

    def __init__(self, why: str, advice: str) -> None:
        """Keep both."""
        super().__init__(why)
        self.advice = advice


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """What passed a queue since its node counts."""

    publish: int = 0
    ack: int = 0
    redeliver: int = 0


class QueueFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One queue, as the plug-in tells it."""

    name: str
    #: `running`; `minority` and `down` take nothing.
    state: str = ""
    messages_ready: int | None = None
    consumers: int = 0
    messages_unacknowledged: int | None = None
    message_stats: Stats = Stats()
    policy: str | None = None
    operator_policy: str | None = None
    effective_policy_definition: dict[str, object] | list[object] | None = None
    #: Nodes that hold a copy, and those of them that are up.
    members: tuple[str, ...] = ()
    online: tuple[str, ...] = ()

    @property
    def policies(self) -> Mapping[str, object]:
        """Return what policies say of it; an empty one is told as a list."""
        found = self.effective_policy_definition
        return found if isinstance(found, dict) else {}


class _Named(msgspec.Struct, frozen=True):
    name: str


class _Channel(msgspec.Struct, frozen=True):
    connection_name: str = ""


class ConsumerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One consumer."""

    queue: _Named
    channel_details: _Channel | list[object] = _Channel()
    active: bool = True

    @property
    def connection(self) -> str:
        """Return the name of its connection, as the broker has it."""
        return self.channel_details.connection_name if isinstance(self.channel_details, _Channel) else ""


class ConnectionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One connection: the broker's name for it, and the one that its program gave."""

    name: str
    user_provided_name: str = ""


class NodeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One node of the cluster."""

    name: str
    running: bool = True
    mem_used: int | None = None
    mem_limit: int | None = None
    mem_alarm: bool = False
    disk_free: int | None = None
    disk_free_limit: int | None = None
    disk_free_alarm: bool = False
    fd_used: int | None = None
    fd_total: int | None = None
    partitions: tuple[str, ...] = ()


class BindingFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One binding of a queue to an exchange; the default exchange's have an empty source."""

    source: str
    destination: str
    routing_key: str


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster."""

    rabbitmq_version: str = ""
    erlang_version: str = ""
    cluster_name: str = ""


class _Page(msgspec.Struct, frozen=True):
    items: tuple[QueueFacts, ...]


class Management:
    """
    Asks the plug-in, with the user and the virtual host of the broker's URL.

    Args:
        url: The broker.
        place: `http://host:port` or `https://…` of the plug-in; empty: the broker's host and the plug-in's usual port.

    Raises:
        NoManagement: `place` is none.
        BrokerUnusable: the broker's URL is none.
    """

    def __init__(self, url: str, place: str = "") -> None:
        """Keep where it is; `overview` and the others ask."""
        broker = parameters(url, name="")
        secure = broker.ssl_options is not None
        found = urllib.parse.urlsplit(place or f"{'https' if secure else 'http'}://{_bracketed(broker.host)}")
        try:
            port = found.port
        except ValueError:
            port = -1
        if found.scheme not in _PORTS or not found.hostname or found.username is not None or port == -1:
            raise NoManagement(
                "[queue] management_url is no URL of a management plug-in",
                "write http://host:15672 or https://host:15671; user and password are AMQP_URL's",
            )
        self._scheme, self._host, self._port = found.scheme, found.hostname, port or _PORTS[found.scheme]
        self._path = found.path.rstrip("/")
        self._context = broker.ssl_options.context if broker.ssl_options is not None else ssl.create_default_context()
        user = broker.credentials
        credentials = f"{user.username}:{user.password}".encode() if isinstance(user, PlainCredentials) else b":"
        self._authorization = f"Basic {base64.b64encode(credentials).decode()}"
        self._vhost = urllib.parse.quote(broker.virtual_host, safe="")

    @property
    def where(self) -> str:
        """Return host and port, for a message."""
        return f"{self._host}:{self._port}"

    def overview(self) -> Overview:
        """Return the cluster's name and versions. Raises NoManagement; so do the others."""
        return self._get("/api/overview", Overview)

    def queues(self) -> dict[str, QueueFacts]:
        """Return the gateway's queues by name."""
        only = urllib.parse.quote(f"^{PREFIX}.".replace(".", r"\."), safe="")
        page = self._get(f"/api/queues/{self._vhost}?page=1&page_size=500&use_regex=true&name={only}", _Page)
        return {each.name: each for each in page.items}

    def consumers(self) -> tuple[ConsumerFacts, ...]:
        """Return who takes from which queue of the virtual host."""
        return self._get(f"/api/consumers/{self._vhost}", tuple[ConsumerFacts, ...])

    def bindings(self) -> tuple[BindingFacts, ...]:
        """Return what is bound to what in the virtual host."""
        return self._get(f"/api/bindings/{self._vhost}", tuple[BindingFacts, ...])

    def connections(self) -> tuple[ConnectionFacts, ...]:
        """Return the connections that the user may see."""
        return self._get("/api/connections?columns=name,user_provided_name", tuple[ConnectionFacts, ...])

    def nodes(self) -> tuple[NodeFacts, ...]:
        """Return the nodes; the user needs the tag `monitoring`."""
        return self._get("/api/nodes", tuple[NodeFacts, ...])

    def _get(self, path: str, kind: type[_T]) -> _T:
        connection = (
            http.client.HTTPSConnection(self._host, self._port, timeout=_SECONDS, context=self._context)
            if self._scheme == "https"
            else http.client.HTTPConnection(self._host, self._port, timeout=_SECONDS)
        )
        try:
            connection.request("GET", self._path + path, headers={"Authorization": self._authorization})
            answer = connection.getresponse()
            body = answer.read(_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as failure:
            why = getattr(failure, "strerror", None) or type(failure).__name__
            raise NoManagement(
                f"nobody answers for it at {self.where} ({why})", f"{ENABLE}, or set it: [queue] management_url"
            ) from None
        finally:
            connection.close()
        if answer.status in {_UNAUTHORISED, _FORBIDDEN}:
            raise NoManagement(f"it refuses AMQP_URL's user at {self.where} ({answer.status})", _TAG)
        try:
            # Any other answer's body has another form.
            return msgspec.json.decode(body if answer.status == _OK else b"", type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise NoManagement(
                f"what answers at {self.where} is no management plug-in ({answer.status})", "correct [queue] management_url"
            ) from None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
