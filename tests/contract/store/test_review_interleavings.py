"""F19: every interleaving of an opposition with a deposit that is parked or judged again: none stays that it refuses (D-7)."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.model.event import Position
from gateway.store.port import Parked
from tests.contract.store.backends import BACKENDS, SCRATCH
from tests.harness.stepping import Actor, Played, explore
from tests.harness.worlds import EVERY_DAY, World
from tests.strategies.records import adt, opening, stated

#: Between which another's commit can matter here.
STOPS = {
    **EVERY_DAY,
    "postgres": (
        "sql.lock_patients",
        "sql.confirm_identifiers",
        "sql.ask_reviews",
        "sql.claim_review",
        "sql.write_parked",
        "store.commit.asked",
    ),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=SCRATCH) as made:
        yield Path(made)


class Playing:
    """One deposit under the INS and a number, and what is done to it."""

    def __init__(self, world: World) -> None:
        self.world, self.cast = world, world.cast()
        cast = self.cast
        world.event(cast, "open", opening(cast.ins()))
        world.event(cast, "link", adt(patient=(cast.ins(), cast.ipp())))
        self.made = world.deposit(cast, "parked", patient=(cast.ins(), cast.ipp()))

    def park(self, store: int = 0) -> object:
        keys = tuple(known.key for known in self.made.submission.identifiers)
        return self.world.stores[store].park(
            Parked(reception=self.made.reception, code="INTERNAL", place="x:1", identifiers=keys, sealed=b"sealed")
        )

    def review(self, store: int = 0) -> object:
        return self.world.stores[store].review(self.made)

    def oppose(self, store: int = 1) -> object:
        said = adt(stated(Position.OPPOSES, at=None), patient=(self.cast.ipp(),), links=False)
        return self.world.event(self.cast, "o", said, store)

    def finished(self) -> tuple[int, list[str]]:
        """What the workers do afterwards; then how many are parked and what was refused."""
        store = self.world.stores[0]
        while waiting := [receipt for receipt, _ in store.awaiting_review(10)]:
            assert waiting == [self.made.reception.receipt]
            store.review(self.made)
        ((parked,),) = self._rows("SELECT count(*) FROM parked")
        return parked, [code for (code,) in self._rows("SELECT code FROM refusal WHERE receipt = ?", self.made.reception.receipt)]

    def _rows(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        marked = text.replace("?", "%s") if self.world.backend == "postgres" else text
        return [tuple(row) for row in self.world._reading.execute(marked, values)]


def parked_and_looked_at(playing: Playing) -> None:
    playing.park()
    assert playing.review() is None


#: What was there, and what meets.
MEETINGS: dict[str, tuple[Callable[[Playing], object], dict[str, Callable[[Playing], object]]]] = {
    "parked while it is opposed": (lambda _: None, {"p": Playing.park, "o": Playing.oppose}),
    "judged for the first time while it is opposed": (Playing.park, {"r": Playing.review, "o": Playing.oppose}),
    "looked at before, judged by two": (
        lambda playing: (parked_and_looked_at(playing), playing.oppose()),
        {"r": Playing.review, "s": lambda playing: playing.review(1)},
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", MEETINGS)
def test_whatever_the_order_nothing_opposed_stays(backend: str, name: str, folder: Path) -> None:
    before, acts = MEETINGS[name]
    playings: list[Playing] = []
    with World.made(backend, folder, STOPS) as world:

        def play(choose: Callable[[int, str], str]) -> Played:
            playing = Playing(world)
            before(playing)
            playings.append(playing)
            actors = [
                Actor(letter, lambda act=act: act(playing), world.threads(place % 2))
                for place, (letter, act) in enumerate(acts.items())
            ]
            return world.stage.play(actors, choose)

        orders = set()
        for played in explore(play):
            for letter in acts:
                played.result(letter)
            assert playings[-1].finished() == (0, ["OPPOSED"]), str(played)
            orders.add(played.order)
    assert len(orders) == 2, "they never met"
    assert len(playings) >= 6
