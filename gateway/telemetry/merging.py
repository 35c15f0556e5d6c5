"""
The metrics of several processes as those of one gateway.

Each process tells its page; counters and histograms are added, gauges become one as `metrics.MERGES` says. What a process that
ended had counted stays in the sum: a counter that went back would be taken for a restart, and the rest counted twice.
"""

import math
import threading
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from gateway.telemetry.metrics import MERGES, Merge

#: Name of a sample and its labels.
_Key = tuple[str, tuple[tuple[str, str], ...]]

_GAUGE: Final = "gauge"


class Merged(Collector):
    """What is shown of all processes; a registry may hold it. Any thread may call."""

    def __init__(self) -> None:
        """Begin without a process."""
        self._lock = threading.Lock()
        self._pages: dict[str, dict[str, Metric]] = {}
        self._ended: dict[_Key, float] = {}
        self._families: dict[str, Metric] = {}

    def take(self, process: str, page: str) -> None:
        """
        Take note of what a process shows now.

        Args:
            process: Its name.
            page: In the text format; whatever it showed before is replaced.
        """
        families = {family.name: family for family in text_string_to_metric_families(page)}
        with self._lock:
            self._pages[process] = families
            for family in families.values():
                self._families.setdefault(family.name, Metric(family.name, family.documentation, family.type))

    def end(self, process: str) -> None:
        """Take note that a process has ended: what it counted stays, what it was is over."""
        with self._lock:
            for family in self._pages.pop(process, {}).values():
                if family.type != _GAUGE:
                    for key, value in _samples(family):
                        self._ended[key] = self._ended.get(key, 0.0) + value

    def collect(self) -> Iterable[Metric]:
        """Return every family, its samples merged."""
        with self._lock:
            pages, ended = list(self._pages.values()), dict(self._ended)
            families = sorted(self._families.items())
        for name, known in families:
            found: dict[_Key, list[float]] = {key: [value] for key, value in ended.items() if _family(key[0]) == name}
            for page in pages:
                if name in page:
                    for key, value in _samples(page[name]):
                        found.setdefault(key, []).append(value)
            merged = Metric(name, known.documentation, known.type)
            for (sample, labels), values in found.items():
                merge = _merge((sample, labels)) if known.type == _GAUGE else sum
                merged.add_sample(sample, dict(labels), merge(values))
            yield merged


def _samples(family: Metric) -> Iterator[tuple[_Key, float]]:
    for sample in family.samples:
        if not math.isnan(sample.value):  # that process cannot know
            yield (sample.name, tuple(sample.labels.items())), sample.value


def _family(sample: str) -> str:
    for ending in ("_total", "_bucket", "_count", "_sum"):
        sample = sample.removesuffix(ending)
    return sample


def _merge(key: _Key) -> Merge:
    name, labels = key
    state = dict(labels).get("state")
    return MERGES.get(f"{name}{{{state}}}") or MERGES[name]
