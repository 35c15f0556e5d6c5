"""One seed: its history, its run, its judgement; and the least history that still fails."""

from collections import Counter
from dataclasses import dataclass, field

from gateway.telemetry import lines
from tests.simulation.history import Message, clients
from tests.simulation.judge import breaches
from tests.simulation.world import Stuck, World

#: How many runs a failing history may cost while it is made smaller.
_TRIES = 300


@dataclass
class Report:
    """What some seeds did and showed."""

    seeds: int = 0
    sends: int = 0
    acknowledged: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    broken: dict[int, list[str]] = field(default_factory=dict)

    def told(self) -> str:
        return "\n".join(f"seed {seed}: {line}" for seed, lines in self.broken.items() for line in lines)


def play(seed: int, histories: list[list[Message]] | None = None) -> tuple[World, list[str]]:
    """Play one seed; return the world as it is at the end, and what was broken."""
    world = World(seed, clients(seed) if histories is None else histories)
    try:
        world.run()
        return world, breaches(world)
    except (Exception, Stuck) as failure:  # noqa: BLE001 - whatever it is, the seed is to be told
        return world, [f"{type(failure).__name__}: {failure}"]


def simulate(seeds: range | list[int]) -> Report:
    """Play many seeds without writing a line of the log."""
    report, spoken = Report(), lines.write
    lines.write = lambda *_: None
    try:
        for seed in seeds:
            world, broken = play(seed)
            report.seeds += 1
            report.sends += world.sends
            report.acknowledged += len(world.acknowledged)
            report.faults += world.faults
            report.verdicts.update(verdict for (verdict,) in world.store.rows("SELECT verdict FROM receipt"))
            if broken:
                report.broken[seed] = broken
            world.store.close()
    finally:
        lines.write = spoken
    return report


def shrunk(seed: int) -> list[str]:
    """Return a failing seed's history, made as small as dropping messages makes it, and what it breaks."""
    histories, spoken = clients(seed), lines.write
    lines.write = lambda *_: None
    broken: list[str] = play(seed, histories)[1]
    tries, smaller = 0, True
    while smaller and tries < _TRIES:
        smaller = False
        for client, messages in enumerate(histories):
            for number in range(len(messages)):
                tries += 1
                fewer = [*histories[:client], messages[:number] + messages[number + 1 :], *histories[client + 1 :]]
                found = play(seed, fewer)[1]
                if found:
                    histories, broken, smaller = fewer, found, True
                    break
            if smaller:
                break
    lines.write = spoken
    told = [f"client {n}: {message}" for n, messages in enumerate(histories) for message in messages]
    return [*told, *broken]
