"""The doctor's look at the record store: the database that `DATABASE_URL` names, or the file, and the journal of answers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from gateway.cli.findings import Finding
from gateway.queue.errors import KeysUnusable
from gateway.store.port import StoreUnusable
from gateway.wiring.answers import Journal
from gateway.wiring.clock import SystemClock
from gateway.wiring.data import DataDirectory
from gateway.wiring.key_state import key_state

if TYPE_CHECKING:
    from gateway.store.postgres.facts import ServerFacts

#: Seconds of difference between two clocks that make the order of what two machines write unclear, and those that are wrong.
_CLOCK_NOTE: Final = 2.0
_CLOCK_PROBLEM: Final = 60.0
#: Connections that one gateway holds at most: events, batches, a verb or two.
_CONNECTIONS: Final = 10


def database(url: str) -> Iterator[Finding]:
    """Look at a PostgreSQL record store and at the way to it; change nothing."""
    from gateway.store.postgres.connection import place
    from gateway.store.postgres.facts import server_facts
    from gateway.store.postgres.migrations import inspect

    try:
        facts = server_facts(url)
        yield from _server(facts)
        found = inspect(url)
    except StoreUnusable as unusable:
        yield Finding(subject="record store", state="problem", text=str(unusable), advice="`dmp-gateway db check` tells more")
        return
    if found.missing or found.differences:
        yield Finding(
            subject="record store",
            state="problem",
            text=f"{place(url)}: its tables are not this program's",
            advice="`dmp-gateway db check` tells which, `dmp-gateway db migrate` makes what is missing",
        )
        return
    yield Finding(subject="record store", state="ok", text=f"{place(url)}: schema {found.schema:04}")
    yield Finding(
        subject="roles",
        state="ok" if found.roles else "note",
        text="writes and reads under roles of their own"
        if found.roles
        else "works with its user's own rights: no separate roles",
        advice="" if found.roles else "run `dmp-gateway db migrate` as an owner who may make roles",
    )


def _server(facts: "ServerFacts") -> Iterator[Finding]:
    yield Finding(
        subject="server",
        state="ok",
        text=f"PostgreSQL {facts.version}, {facts.size // 1_000_000} MB; it does not tell how much room its disk has",
    )
    risky = [
        f"{name} = {value}"
        for name, value in (
            ("synchronous_commit", facts.synchronous_commit),
            ("fsync", facts.fsync),
            ("full_page_writes", facts.full_page_writes),
        )
        if value == "off"
    ]
    yield Finding(
        subject="durability",
        state="problem" if risky else "ok",
        text=", ".join(risky) if risky else "synchronous_commit, fsync and full_page_writes are on",
        advice="an acknowledged opposition could be lost: set each to on in postgresql.conf and reload" if risky else "",
    )
    yield Finding(
        subject="text",
        state="ok" if facts.encoding == "UTF8" else "problem",
        text=f"encoding {facts.encoding}",
        advice="" if facts.encoding == "UTF8" else "make the database anew: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
    )
    committed = facts.isolation == "read committed"
    yield Finding(
        subject="isolation",
        state="ok" if committed else "note",
        text=f"the server's default is {facts.isolation}; the gateway asks for READ COMMITTED itself",
    )
    yield _clock(facts.clock_ahead)
    yield _way(facts)
    if facts.connections < _CONNECTIONS:
        yield Finding(
            subject="connections",
            state="note",
            text=f"the server takes {facts.connections}",
            advice=f"a gateway holds up to {_CONNECTIONS}: raise max_connections",
        )


def _clock(ahead: float) -> Finding:
    apart = abs(ahead)
    word = "ahead of" if ahead > 0 else "behind"
    return Finding(
        subject="clock",
        state="ok" if apart <= _CLOCK_NOTE else "note" if apart <= _CLOCK_PROBLEM else "problem",
        text=f"the server's clock is {apart:.1f} s {word} this machine's",
        advice="" if apart <= _CLOCK_NOTE else "let NTP set both: oppositions are dated by the gateway's clock",
    )


def _way(facts: "ServerFacts") -> Finding:
    if facts.sessions_kept:
        return Finding(
            subject="way",
            state="ok",
            text="through a pooler that keeps sessions apart" if facts.pooled else "straight to the server",
        )
    return Finding(
        subject="way",
        state="problem",
        text="a pooler gives one server connection to several sessions in turn: time limits, roles and locks would be lost",
        advice="connect straight to the server, or set the pooler to pool_mode = session for this database",
    )


def answers(directory: DataDirectory) -> Finding:
    """Look at the journal of answers, which tells after a restore what was lost."""
    try:
        days = Journal(directory.answers).days
    except OSError as failure:
        return Finding(
            subject="answers",
            state="problem",
            text=f"{directory.answers}: {failure.strerror}",
            advice="the gateway's user must be able to write there: an opposition that cannot be noted is answered AR",
        )
    if not days:
        return Finding(subject="answers", state="note", text="no answer was noted yet")
    return Finding(subject="answers", state="ok", text=f"days noted: {len(days)}, {days[0]} to {days[-1]}")


def keys(directory: DataDirectory) -> Iterator[Finding]:
    """Look at the keys: which days are held, and whether what was received two days ago can still be read (D-7)."""
    try:
        state = key_state(directory, SystemClock())
    except KeysUnusable as unusable:
        missing = not directory.keys.exists() and not directory.queue.exists()
        yield Finding(subject="keys", state="note" if missing else "problem", text=str(unusable))
        return
    flow = [key.day for key in state.keys if key.ring == "flow"]
    held = flow[0] if len(flow) == 1 else f"{flow[0]} to {flow[-1]}"
    yield Finding(subject="keys", state="ok", text=f"{directory.keys}: {held}")
    if flow[-1] > state.today:
        yield Finding(
            subject="keys",
            state="note",
            text=f"the newest key is of {flow[-1]}, today is {state.today}: what is sealed by a day to come goes with that day",
            advice="set the clock; if it ran ahead by days, empty the queue, then make or join the keys anew",
        )
    if state.broken_since is not None:
        waited = sorted({wait.lane for key in state.keys for wait in key.waits})
        lanes = f"; lanes that have not passed: {', '.join(waited)}" if waited else ""
        yield Finding(
            subject="keys",
            state="problem",
            text=f"what was received more than 48 hours ago can be read, since {state.broken_since:%Y-%m-%d %H:%M} UTC{lanes}",
            advice="a key waits until its lane is empty: `dmp-gateway keys status` says which, the worker's log says why",
        )
