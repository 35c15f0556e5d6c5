"""The static checks find what they look for, and take a reason for an answer only where it stands."""

from pathlib import Path

import pytest

from tests import audit

#: In pieces, or the check would find it here.
KEY = "AKIA" + "Q3EGRIWV6ZXFJ2LB"
PRIVATE = "-----BEGIN RSA " + "PRIVATE KEY-----"


def test_what_bandit_finds_is_told_unless_its_line_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "import subprocess\n"
        "subprocess.run(x, shell=True)\n"
        "subprocess.run(x, shell=True)  # noqa: S602 - a reason\n"
        "subprocess.run(x, shell=True)  # noqa: S602\n"
        "subprocess.run(x, shell=True)  # noqa: S603 - of another number\n",
        encoding="utf-8",
    )
    found = [each.split(":")[1] for each in audit.by_bandit(tmp_path)]
    assert found == ["2", "4", "5"]


@pytest.mark.parametrize("line", [f'KEY = "{KEY}"', PRIVATE, "amqp://gateway:" + "hunter2@broker.example/"])
def test_what_looks_like_a_secret_is_told(line: str, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(f"{line}\n", encoding="utf-8")
    assert audit._scanned(str(path))


@pytest.mark.parametrize(
    ("name", "value", "is_none"),
    [
        ("docs/broker.md", "secret", True),
        ("docs/broker.md", KEY, False),
        ("tests/golden/cda/x/expected.json", "0" * 40, True),
        ("gateway/cli/serve.py", "0" * 40, False),
        ("tests/unit/x.py", "0" * 16, True),
        ("tests/unit/x.py", "0" * 17, False),
    ],
)
def test_only_its_row_explains_a_text(name: str, value: str, is_none: bool) -> None:
    assert audit.explained(name, value) is is_none


def test_every_row_gives_a_reason() -> None:
    assert all(reason for _, _, reason in audit.MADE_UP)
    assert all(audit.SKIPPED.values()) and all(audit.MISTAKEN.values())
