"""
Transactions that go forward one step at a time, in the order that a test decides: PostgreSQL's isolation tester, for the store.

Each actor runs the real store in a thread of its own and stops at every named point of the scenario. One of them runs at a time:
the scheduler lets it go to its next point, and waits until it is there, is done, or waits for a lock. That it waits is never
guessed from the time that passes: PostgreSQL is asked (`pg_blocking_pids`), and SQLite answers `BEGIN IMMEDIATE` with BUSY.

A schedule is the text of who took each step (`dodood`); the same text gives the same run. `explore` runs every schedule there is.
"""

import enum
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

from gateway.telemetry import points
from tests.harness.breach import Breach

T = TypeVar("T")

#: A step that takes longer is stuck: it neither came to a point nor waits for a lock.
STUCK_SECONDS: Final = 20.0
#: How long the next arrival is waited for before the database is asked whether the actor waits.
_ASK_SECONDS: Final = 0.001


class Stuck(AssertionError):
    """Somebody neither came to a point nor waits for a lock, for longer than any step takes."""


class Place(enum.Enum):
    """Where an actor is."""

    RUNNING = enum.auto()
    #: At a point: it goes on when it is let.
    STOPPED = enum.auto()
    #: Waits for a lock that another one holds.
    WAITING = enum.auto()
    DONE = enum.auto()


@dataclass
class Actor(Generic[T]):
    """
    One who does something, in a thread of its own.

    Attributes:
        letter: Its name in a schedule.
        run: What it does; its transaction is that of the thread, or of the threads in `threads`.
        threads: Idents of the threads that do it, its own aside: the writer of an embedded store.
    """

    letter: str
    run: Callable[[], T]
    threads: tuple[int, ...] = ()
    place: Place = Place.DONE
    at: str = "start"
    result: T | None = None
    failure: BaseException | None = None
    #: The server's process that serves its transaction.
    pid: int | None = None
    permits: queue.SimpleQueue[None] = field(default_factory=queue.SimpleQueue)


class Waits(Protocol):
    """How a database tells that somebody waits."""

    def attach(self, stage: "Stage") -> None:
        """A stage begins."""
        ...

    def waits(self, actor: Actor[Any]) -> bool:
        """Whether an actor that runs waits for a lock."""
        ...

    def freed(self, actor: Actor[Any]) -> bool:
        """Whether an actor that waited runs again: another one has taken a step meanwhile."""
        ...


@dataclass
class Played:
    """What a schedule did."""

    #: Who took each step.
    schedule: str
    #: Step by step, for a person.
    told: list[str]
    #: Letters in the order in which they came to their end: those of one commit each, in the order of the commits.
    order: str
    actors: dict[str, Actor[Any]]
    #: At each step, the letters that might have taken it.
    open: list[str]

    def result(self, letter: str) -> Any:
        """Return what an actor's work came to, or raise its failure."""
        failure = self.actors[letter].failure
        if failure is not None:
            raise Breach(f"{letter} failed: {failure!r}\n{self}") from failure
        return self.actors[letter].result

    def __str__(self) -> str:
        return "\n".join([f"schedule {self.schedule!r}:", *(f"  {each}" for each in self.told)])


class Stage:
    """
    Runs actors step by step.

    Args:
        waits: Of the database.
        stops: The points where they stop.
        commits: The point after which an actor commits: the step from there is its commit.
    """

    def __init__(self, waits: Waits, stops: Iterable[str], commits: str) -> None:
        self._waits = waits
        self._stops = tuple(stops)
        self._commits = commits
        if commits not in self._stops:
            raise ValueError(f"nobody would stop at {commits}")
        self._arrivals: queue.SimpleQueue[Actor[Any]] = queue.SimpleQueue()
        self._of_thread: dict[int, Actor[Any]] = {}

    def actor(self) -> Actor[Any] | None:
        """The actor whose thread this is."""
        return self._of_thread.get(threading.get_ident())

    def play(self, actors: Sequence[Actor[Any]], choose: Callable[[int, str], str]) -> Played:
        """
        Run actors to their ends.

        Args:
            actors: Each with a letter of its own.
            choose: (number of the step, letters that may take it) → one of them.

        Raises:
            Breach: they wait in a circle.
            Stuck: one of them is stuck.
        """
        self._of_thread = {ident: actor for actor in actors for ident in actor.threads}
        played = Played("", [], "", {actor.letter: actor for actor in actors}, [])
        before = dict(points.hooks)
        points.hooks.update({name: self._hook(name) for name in self._stops})
        self._waits.attach(self)
        threads = [threading.Thread(target=self._run, args=(actor,), name=actor.letter, daemon=True) for actor in actors]
        try:
            for actor, thread in zip(actors, threads, strict=True):
                actor.place = Place.RUNNING
                thread.start()
                self._settle(actors, played)  # at its first point before the next one begins
            while any(actor.place is not Place.DONE for actor in actors):
                self._step(actors, played, choose)
            for thread in threads:
                thread.join(STUCK_SECONDS)
        finally:
            # Whatever broke off, nobody is left behind at a point.
            points.hooks.clear()
            points.hooks.update(before)
            for actor, thread in zip(actors, threads, strict=True):
                while actor.place is not Place.DONE and thread.is_alive():
                    actor.permits.put(None)
                    self.drain(0.05)
            self._of_thread = {}
        return played

    def _step(self, actors: Sequence[Actor[Any]], played: Played, choose: Callable[[int, str], str]) -> None:
        able = "".join(actor.letter for actor in actors if actor.place is Place.STOPPED)
        if not able:
            raise Breach(f"deadlock: all wait\n{played}")
        letter = choose(len(played.schedule), able)
        if letter not in able:
            raise Breach(f"{letter!r} cannot take a step here, only {able!r}\n{played}")
        actor = played.actors[letter]
        left = actor.at
        played.schedule += letter
        played.open.append(able)
        played.told.append(f"{letter} leaves {left}")
        actor.place = Place.RUNNING
        actor.permits.put(None)
        self._settle(actors, played)
        if left == self._commits and actor.failure is None:
            played.order = played.order.replace(letter, "") + letter

    def _settle(self, actors: Sequence[Actor[Any]], played: Played) -> None:
        """Wait until nobody runs, those included whom the last step let go on."""
        until = time.monotonic() + STUCK_SECONDS
        asked = False
        while True:
            if not any(actor.place is Place.RUNNING for actor in actors):
                waiting = [actor for actor in actors if actor.place is Place.WAITING and self._waits.freed(actor)]
                for actor in waiting:
                    actor.place = Place.RUNNING
                    played.told.append(f"{actor.letter} waits no more")
                if not waiting:
                    return
            if self.drain(_ASK_SECONDS):
                continue
            for actor in actors:
                if actor.place is Place.RUNNING and self._waits.waits(actor):
                    actor.place = Place.WAITING
                    played.told.append(f"{actor.letter} waits")
                    asked = True
            if time.monotonic() > until:
                stuck = [actor.letter for actor in actors if actor.place is Place.RUNNING]
                raise Stuck(f"{stuck} stuck, asked {asked}\n{played}")

    def drain(self, seconds: float) -> bool:
        """Take one arrival; tell whether there was one."""
        try:
            actor = self._arrivals.get(timeout=seconds)
        except queue.Empty:
            return False
        actor.place = Place.DONE if actor.at == "end" else Place.STOPPED
        return True

    def _run(self, actor: Actor[Any]) -> None:
        self._of_thread[threading.get_ident()] = actor
        try:
            actor.result = actor.run()
        except BaseException as failure:  # noqa: BLE001 - the judge's
            actor.failure = failure
        finally:
            actor.at = "end"
            self._arrivals.put(actor)

    def _hook(self, name: str) -> Callable[[], None]:
        def reached() -> None:
            actor = self.actor()
            if actor is not None:
                self._stop(actor, name)

        return reached

    def _stop(self, actor: Actor[Any], name: str) -> None:
        actor.at = name
        self._arrivals.put(actor)
        actor.permits.get()


# -- which schedule


def following(schedule: str) -> Callable[[int, str], str]:
    """Return the choices of a schedule; where it is at its end, the first who may."""

    def choose(number: int, able: str) -> str:
        return schedule[number] if number < len(schedule) else able[0]

    return choose


def at_random(seed: int) -> Callable[[int, str], str]:
    """Return choices drawn from a seed."""
    chance = random.Random(seed)
    return lambda _, able: chance.choice(able)


def explore(play: Callable[[Callable[[int, str], str]], Played], limit: int = 100_000) -> Iterator[Played]:
    """
    Run every schedule that there is, each once, depth first.

    Args:
        play: Runs one from the same beginning, by the choices given.
        limit: With more of them the scenario is cut too fine.
    """
    prefix: str | None = ""
    count = 0
    while prefix is not None:
        count += 1
        if count > limit:
            raise ValueError(f"more than {limit} schedules")
        played = play(following(prefix))
        if not played.schedule.startswith(prefix):
            raise Breach(f"{prefix!r} did not come again: a run is not decided by its schedule\n{played}")
        yield played
        prefix = _next(played)


def _next(played: Played) -> str | None:
    """Return the beginning of the schedule after this one: the last choice that had another one left takes it."""
    for number in reversed(range(len(played.schedule))):
        left = played.open[number]
        rest = left[left.index(played.schedule[number]) + 1 :]
        if rest:
            return played.schedule[:number] + rest[0]
    return None
