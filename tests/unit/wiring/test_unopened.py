"""What cannot be opened is told by its id: an operator looks for it by that."""

import io
from collections.abc import Iterator

import msgspec
import pytest

from gateway.queue.receipt import shown
from gateway.telemetry import lines
from gateway.wiring.gateway import unopened


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    lines.direct("info", "json", stream, None)
    yield stream
    lines.direct("info", "json", None, None)


@pytest.mark.parametrize(
    ("receipt", "told"),
    [
        ("01M7ZNJRQG6SJMZQWQV638-sil-valmont-WZ6ECM69", "01M7ZNJRQG6SJMZQWQV638-sil-valmont-WZ6ECM69"),
        # A stranger's word in the place of an id is not repeated.
        ("DUPONT JEANNE", None),
        ("", None),
    ],
)
def test_the_line_names_the_deposit(receipt: str, told: str | None, output: io.StringIO) -> None:
    unopened(shown(receipt), "NewerVersion")
    (line,) = (msgspec.json.decode(each) for each in output.getvalue().splitlines())
    assert (line["event"], line["reason"], line["error"], line.get("receipt")) == (
        "queue.problem",
        "unopened",
        "NewerVersion",
        told,
    )
