"""What a monitor sees of a running gateway."""

import re
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from tests.harness.door import Door

_SECONDS = 10.0


class Answer(NamedTuple):
    """An answer over HTTP."""

    status: int
    text: str


def get(url: str) -> Answer:
    """Ask once."""
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as found:
            return Answer(found.status, found.read().decode())
    except urllib.error.HTTPError as refused:
        with refused:
            return Answer(refused.code, refused.read().decode())


def page(door: Door, path: str = "/metrics") -> Answer:
    """Ask the page of a gateway."""
    assert door.process.page is not None
    return get(re.sub("/metrics$", path, door.process.page))


def value(text: str, name: str, **labels: str) -> float:
    """Return the sum of the samples of a name that have these labels; 0 without any."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def texts(text: str, checked: Callable[[str], bool]) -> list[str]:
    """Return the labels' values that do not pass."""
    found = [
        label for family in text_string_to_metric_families(text) for sample in family.samples for label in sample.labels.items()
    ]
    return sorted({f"{name}={text}" for name, text in found if not checked(text)})
