"""What is away is said once, each minute, and when it is back."""

import pytest

from gateway.telemetry import events
from gateway.telemetry.outage import Outage


class Watch:
    """Seconds that pass by hand, and what was said."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.said: list[events.Event] = []

        def emit(event: events.Event) -> None:
            self.said.append(event)

        for kind in (events.StoreProblem, events.StoreRecovered):
            monkeypatch.setattr(kind, "emit", emit)
        self.outage = Outage(lambda seconds: events.StoreRecovered(seconds=seconds), monotonic=lambda: self.now)

    def away(self, reason: str = "gone") -> None:
        self.outage.away(events.StoreProblem(reason=reason))


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


def test_ten_minutes_of_tries_are_ten_lines_and_an_end(watch: Watch) -> None:
    for _ in range(6000):
        watch.away()
        watch.now += 0.1
    watch.outage.over()
    assert len(watch.said) == 11
    assert all(isinstance(each, events.StoreProblem) for each in watch.said[:10])
    (end,) = watch.said[10:]
    assert isinstance(end, events.StoreRecovered)
    assert end.seconds == pytest.approx(600)


def test_what_never_was_away_is_not_said_to_be_back(watch: Watch) -> None:
    watch.outage.over()
    watch.away()
    watch.outage.over()
    watch.outage.over()
    assert [type(each) for each in watch.said] == [events.StoreProblem, events.StoreRecovered]


def test_the_next_outage_is_said_at_once(watch: Watch) -> None:
    for _ in range(3):
        watch.away()
        watch.outage.over()
    assert [type(each) for each in watch.said] == [events.StoreProblem, events.StoreRecovered] * 3


def test_an_outage_may_have_begun_and_ended_before_it_was_noticed(watch: Watch) -> None:
    watch.outage.away(events.StoreProblem(reason="gone"), since=990.0)
    assert watch.outage.since == 990.0
    watch.now = 1005.0
    watch.outage.over(at=1003.0)
    end = watch.said[-1]
    assert isinstance(end, events.StoreRecovered)
    assert end.seconds == pytest.approx(13)
    assert watch.outage.since is None
