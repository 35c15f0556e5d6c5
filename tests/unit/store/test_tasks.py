"""The list of what a person must look at: each kind says what to do, and no row is about a kind that nothing lists (D-22)."""

import ast
from pathlib import Path

from gateway.store.tasks import TO_DO

#: What lists a task: methods of an open transaction, by the place of the kind among their arguments.
LISTS = {"raise_task", "raise_task_once", "list_task", "watch"}


def sources(root: Path) -> list[Path]:
    return [path for path in (root / "gateway").rglob("*.py") if path.name not in {"tasks.py", "reference_watch.py"}]


def test_every_kind_that_is_listed_says_what_to_do(root: Path) -> None:
    named = set()
    for path in sources(root):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LISTS and node.args:
                named |= {each.value for each in ast.walk(node.args[0]) if isinstance(each, ast.Constant)}
    assert len(named) > 5
    assert named <= set(TO_DO)


def test_every_kind_of_the_table_is_given_somewhere(root: Path) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources(root))
    text += (root / "gateway" / "store" / "tasks.py").read_text(encoding="utf-8").split("}")[-1]
    assert [kind for kind in TO_DO if f'"{kind}"' not in text and f"'{kind}'" not in text] == []


def test_what_to_do_is_a_sentence() -> None:
    assert [kind for kind, text in TO_DO.items() if not text.endswith(".") or len(text) > 125] == []
