"""What `doctor` learns of the broker from RabbitMQ's management plug-in: alarms, room, copies, policies."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from gateway.cli.findings import Finding
from gateway.queue.rabbitmq.management import Management, NodeFacts, NoManagement, QueueFacts
from gateway.queue.rabbitmq.setup import ALARM_ADVICE
from gateway.queue.rabbitmq.topology import DEAD, declared
from gateway.wiring.working import GIVE_BACK_SECONDS

_MB: Final = 1_000_000
#: As much of the memory that a node may take makes an alarm near; so does a disk with no more than so many times its limit.
_MEMORY_NEAR: Final = 0.8
_DISK_NEAR: Final = 2.0
_FILES_NEAR: Final = 0.9
#: A worker whose store is away keeps its deliveries so long.
_PATIENCE_MS: Final = int(GIVE_BACK_SECONDS * 1000)

#: Keys of a policy that go against what the gateway declares, and what each of them does.
HARM: Final = MappingProxyType(
    {
        "message-ttl": "deposits that wait longer are given up",
        "expires": "a lane that nobody takes from for so long is deleted with what it holds",
        "delivery-limit": "a deposit that is handed out more often is given up, whoever's fault it was",
        "consumer-timeout": f"shorter than a worker's patience with its store ({_PATIENCE_MS} ms)",
        "max-length": "lower than declared: doors answer AR at fewer messages",
        "max-length-bytes": "lower than declared: doors answer AR at fewer bytes",
    }
)
#: Those that lose nothing.
_ONLY_SLOWER: Final = frozenset({"max-length", "max-length-bytes"})


def management(url: str, place: str) -> Iterator[Finding]:
    """
    Yield what the plug-in tells.

    Args:
        url: The broker.
        place: Of the plug-in; see `Management`.
    """
    try:
        asked = Management(url, place)
        queues, overview = asked.queues(), asked.overview()
    except NoManagement as missing:
        text = f"alarms, nodes, copies, policies and bindings are not known: {missing}"
        yield Finding(subject="management", state="note", text=text, advice=missing.advice)
        return
    cluster = f"RabbitMQ {overview.rabbitmq_version} on Erlang {overview.erlang_version}, cluster {overview.cluster_name}"
    yield Finding(subject="management", state="ok", text=f"{asked.where}: {cluster}")
    try:
        nodes = asked.nodes()
    except NoManagement as missing:
        yield Finding(subject="nodes", state="note", text=f"alarms are not known: {missing}", advice=missing.advice)
        nodes = ()
    for node in nodes:
        yield from _node(node)
    yield from _copies(queues.values(), len(nodes))
    yield from _policies(queues)


def _node(node: NodeFacts) -> Iterator[Finding]:
    name = f"node {node.name}"
    if not node.running:
        yield Finding(
            subject=name, state="problem", text="it is down", advice="start it: lanes need more than half of their copies"
        )
        return
    alarms = [word for word, on in (("memory", node.mem_alarm), ("disk", node.disk_free_alarm)) if on]
    room = f"memory {_of(node.mem_used, node.mem_limit)} MB, disk {_at_least(node.disk_free, node.disk_free_limit)} MB free"
    if alarms:
        yield Finding(subject=name, state="problem", text=f"alarm: {' and '.join(alarms)}; {room}", advice=ALARM_ADVICE)
    else:
        near = list(_near(node))
        yield Finding(
            subject=name,
            state="note" if near else "ok",
            text=room + (f"; near its limit: {', '.join(near)}" if near else ""),
            advice="beyond it the broker takes nothing, and every door answers AR" if near else "",
        )
    if node.partitions:
        yield Finding(
            subject=name,
            state="problem",
            text=f"it does not see {', '.join(node.partitions)}: the cluster is split",
            advice="mend the network, then restart the side with fewer nodes (RabbitMQ: network partitions)",
        )


def _near(node: NodeFacts) -> Iterator[str]:
    if node.mem_used and node.mem_limit and node.mem_used > _MEMORY_NEAR * node.mem_limit:
        yield "memory"
    if node.disk_free is not None and node.disk_free_limit and node.disk_free < _DISK_NEAR * node.disk_free_limit:
        yield "disk"
    if node.fd_used and node.fd_total and node.fd_used > _FILES_NEAR * node.fd_total:
        yield "open files"


def _copies(queues: Iterable[QueueFacts], nodes: int) -> Iterator[Finding]:
    replicated = [each for each in queues if each.members]
    if not replicated:
        return
    lost = [each.name for each in replicated if 2 * len(each.online) <= len(each.members)]
    if lost:
        yield Finding(
            subject="copies",
            state="problem",
            text=f"too few copies are up, nothing moves: {', '.join(sorted(lost))}",
            advice="start the nodes that are down",
        )
        return
    fewest = min(len(each.members) for each in replicated)
    behind = [each.name for each in replicated if len(each.online) < len(each.members)]
    text = f"each lane has {fewest} or more" if fewest > 1 else "lanes have one: what waits is lost with that node's disk"
    advice = "three nodes keep each lane thrice: `rabbitmq-queues grow NODE all` after joining them" if fewest == 1 else ""
    if behind:
        text, advice = f"{text}; not all are up: {', '.join(sorted(behind))}", "start the nodes that are down"
    elif 1 < fewest < min(nodes, 3):
        advice = "the cluster has more nodes: `rabbitmq-queues grow NODE all`"
    yield Finding(subject="copies", state="note" if behind or advice else "ok", text=text, advice=advice)


def _policies(queues: Mapping[str, QueueFacts]) -> Iterator[Finding]:
    """Yield policies that go against the layout: the broker takes the lower of two limits, or the policy's alone."""
    found: dict[tuple[str, str], list[str]] = {}
    for each in declared():
        facts = queues.get(each.name)
        if facts is None or each.name == DEAD:
            continue
        arguments = each.arguments
        for key, value in facts.policies.items():
            if key in HARM and _harms(key, value, arguments.get(f"x-{key}")):
                named = " and ".join(filter(None, (facts.policy, facts.operator_policy)))
                found.setdefault((named, f"{key} = {value}"), []).append(each.lane or each.name)
    for (named, what), lanes in found.items():
        key = what.partition(" ")[0]
        where = f"{len(lanes)} lanes" if len(lanes) > 1 else lanes[0]
        yield Finding(
            subject=f"policy {named}",
            state="note" if key in _ONLY_SLOWER else "problem",
            text=f"{what} on {where}: {HARM[key]}",
            advice="let its pattern leave out dmpgw.*: `rabbitmqctl list_policies`, `rabbitmqctl list_operator_policies`",
        )
    if not found:
        yield Finding(subject="policies", state="ok", text="none goes against the layout")


def _harms(key: str, value: object, ours: object) -> bool:
    if not isinstance(value, (int, float)):
        return False
    if key == "consumer-timeout":
        return value < _PATIENCE_MS
    return not isinstance(ours, (int, float)) or value < ours


def _of(used: int | None, limit: int | None) -> str:
    return f"{'?' if used is None else used // _MB} of {'?' if limit is None else limit // _MB}"


def _at_least(free: int | None, limit: int | None) -> str:
    return f"{'?' if free is None else free // _MB} (alarm below {'?' if limit is None else limit // _MB})"
