"""Each step that the broker sees, or that waits for it, has a named point before it: tests kill and freeze there (F2, F3)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = "gateway/queue/rabbitmq"
#: The operator's verbs, run by hand: no message is in their hands, and what they did not finish is done when they are run again.
BY_HAND = {"setup.py", "status.py", "management.py"}
#: What goes out to the broker: publishing, settling, subscribing, declaring, connecting, closing; and any statement of SQL.
STEPS = {
    *("basic_publish", "basic_ack", "basic_nack", "basic_reject", "basic_recover", "basic_get", "basic_consume", "basic_cancel"),
    *("basic_qos", "confirm_delivery", "queue_declare", "queue_bind", "queue_unbind", "queue_delete", "queue_purge"),
    *("exchange_declare", "tx_select", "tx_commit", "tx_rollback", "AsyncioConnection", "_terminate_stream"),
    *("execute", "executemany", "copy", "commit", "rollback"),
}
#: Waits that are not for the broker: for a coroutine of these modules, which is looked at itself, or for work on the processor.
OWN_WAITS = ("self.", "asyncio.gather(", "asyncio.to_thread(")


def code_of(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Every node of a function in the order of the source, without the functions inside it."""
    for node in body:
        yield from _walked(node)


def _walked(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _walked(child)


def without_point(source: str) -> list[str]:
    """Return the steps that have no point between them and the step before, in their function."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        steps: list[tuple[int, str]] = []
        reached: list[int] = []
        for node in code_of(function.body):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if ast.unparse(node.func) in {"points.reach", "points.statement"}:
                    reached.append(node.lineno)
                elif name in STEPS or (name == "close" and ast.unparse(node.func).endswith("connection.close")):
                    steps.append((node.lineno, name))
            elif isinstance(node, ast.Await) and not ast.unparse(node.value).startswith(OWN_WAITS):
                steps.append((node.lineno, f"await {ast.unparse(node.value)}"))
        found += [f"{function.name}:{line} {what}" for line, what in sorted(steps) if not any(point <= line for point in reached)]
    return found


def test_every_step_has_its_point(root: Path) -> None:
    looked_at = [path for path in sorted((root / FOLDER).glob("*.py")) if path.name not in BY_HAND]
    assert len(looked_at) >= 8
    assert {path.name: without_point(path.read_text(encoding="utf-8")) for path in looked_at} == {
        path.name: [] for path in looked_at
    }


@pytest.mark.parametrize(
    "step",
    [
        "channel.basic_publish('', 'lane', b'')",
        "channel.basic_ack(1)",
        "self._channel.basic_reject(1)",
        "channel.queue_declare('q', callback=lambda _: None)",
        "cursor.execute('SELECT 1')",
        "self._connection.close()",
        "AsyncioConnection(parameters)",
    ],
)
def test_a_new_step_without_one_is_found(step: str) -> None:
    assert len(without_point(f"def new(self):\n    if here:\n        {step}\n")) == 1
    assert without_point(f"def new(self):\n    points.reach('broker.new')\n    if here:\n        {step}\n") == []
    assert len(without_point(f"def new(self):\n    {step}\n    points.reach('broker.new')\n")) == 1
    # A point of the function around it says nothing of when the inner one runs.
    assert len(without_point(f"def outer(self):\n    points.reach('broker.new')\n    def new():\n        {step}\n")) == 1


def test_a_new_wait_without_one_is_found() -> None:
    assert without_point("async def new(self):\n    return await confirmed\n") == ["new:2 await confirmed"]
    assert without_point("async def new(self):\n    return await self.confirmed()\n") == []
