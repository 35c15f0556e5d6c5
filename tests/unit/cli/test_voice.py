"""Nothing that came in a message steers the terminal of whoever looks at it."""

import msgspec
import pytest

from gateway.cli import console
from gateway.cli.printable import printable
from gateway.cli.voice import Voice

HOSTILE = "MSG\x1b]0;owned\x07\x1b[2J\x9b31m\u202eabc\u2028x"


def test_what_is_printed_holds_no_control(capsys: pytest.CaptureFixture[str]) -> None:
    Voice(soft_wrap=True, highlight=False, markup=False).print(f"Message {HOSTILE}\nsecond line")
    first, second = capsys.readouterr().out.splitlines()
    assert first.isprintable()
    assert second == "second line"


def test_a_table_and_a_line_of_json_neither(capsys: pytest.CaptureFixture[str]) -> None:
    console.table(("message",), [(HOSTILE,)])
    console.json_line({"message": HOSTILE})
    table, json = capsys.readouterr().out.rstrip("\n").rsplit("\n", 1)
    assert all(line.isprintable() for line in table.split("\n"))
    assert json.isprintable()
    assert msgspec.json.decode(json) == {"message": HOSTILE}


def test_text_that_is_fine_is_not_touched() -> None:
    assert printable("Radiographie du thorax – œdème €") == "Radiographie du thorax – œdème €"
