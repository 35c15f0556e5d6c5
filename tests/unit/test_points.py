"""The registry of named points: what the code reaches is registered, what is registered is reached (D-22)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.telemetry import points


def reached(root: Path) -> set[str]:
    """The names in every `points.reach("…")` of the sources; a name that is not a literal fails the test."""
    found = set()
    for path in sorted((root / "gateway").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "points.reach":
                (name,) = node.args
                assert isinstance(name, ast.Constant), f"{path}:{node.lineno}"
                found.add(name.value)
    return found


def test_every_point_is_registered_and_reached(root: Path) -> None:
    registered = (*points.POINTS, *points.BROKER_POINTS)
    assert reached(root) == set(registered)
    assert len(registered) == len(set(registered))


def test_a_hook_runs_at_its_point_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setitem(points.hooks, "store.begun", lambda: seen.append("here"))
    points.reach("store.written")
    assert seen == []
    points.reach("store.begun")
    assert seen == ["here"]


@pytest.mark.faults
def test_the_nth_hit_ends_the_process_at_once() -> None:
    code = (
        "from gateway.telemetry import points\n"
        "for n in range(3):\n    points.reach('store.begun')\n    points.reach('store.written')\n    print(n, flush=True)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env={"DMP_GATEWAY_KILL_AT": "store.written:2"}, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (137, "0\n")
