"""A table of routes as an application, over ports that a test answers for: no socket, no queue, no store."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from gateway.adapters.http.application import PEER, Application
from gateway.adapters.http.caller import Trust
from gateway.adapters.http.registry import Registry, Renderer, Route, Style
from gateway.model.event import RecordEvent
from gateway.model.outcome import DocumentOutcome, Outcome, Rejection
from gateway.model.source import Connection, Directory, Peer
from gateway.model.submission import Reception, Submission
from gateway.model.verdict import Verdict

NOW = datetime(2026, 3, 10, 8, 0, 0, tzinfo=UTC)


class Still:
    """A clock that stands, until it is set."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at


@dataclass
class Hands:
    """The doors' ports: what was handed over, and what is answered."""

    decide: Callable[[Reception, Submission], Outcome] | None = None
    published: list[tuple[Reception, Submission, tuple[bytes, ...]]] = field(default_factory=list)
    reported: list[tuple[Reception, Rejection]] = field(default_factory=list)

    async def publish(
        self, reception: Reception, submission: Submission, parts: tuple[bytes, ...], *_: object, **__: object
    ) -> Awaitable[Outcome]:
        self.published.append((reception, submission, parts))
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        decided = (self.decide or stored)(reception, submission)
        outcome.set_result(decided)
        return outcome

    def report(self, reception: Reception, rejection: Rejection) -> None:
        self.reported.append((reception, rejection))

    async def submit(self, reception: Reception, event: RecordEvent, deadline: datetime) -> Outcome:
        raise AssertionError("no event comes in by these routes")


def stored(reception: Reception, submission: Submission, verdict: Verdict = Verdict.STORED, **more: Any) -> Outcome:
    """The outcome of a deposit that the record takes."""
    documents = tuple(DocumentOutcome(unique_id=one.entry.unique_id, verdict=verdict, rule="D-5") for one in submission.documents)
    return Outcome(verdict=verdict, receipt=reception.receipt, documents=documents, **more)


@dataclass
class Asked:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.content)


class Site:
    """The application of some routes, asked from this machine for a source that the test names."""

    def __init__(
        self,
        routes: Sequence[Route],
        directory: Directory,
        *,
        body_limit: int = 4 * 1024 * 1024,
        renderers: Mapping[Style, Renderer] | None = None,
    ) -> None:
        networks = ("127.0.0.0/8",)
        every = Connection(door="http", networks=networks, sources=tuple(source.id for source in directory.sources))
        trust = Trust(door="http", directory=directory, connections=(every,))
        self.application = Application(Registry(routes), trust, body_limit=body_limit, renderers=renderers)
        self._client = self.application.flask.test_client()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        kind: str = "",
        *,
        source: str = "sil-valmont",
        headers: Mapping[str, str] | None = None,
        address: str = "127.0.0.1",
    ) -> Asked:
        given = {"X-DMP-Source": source, **({"Content-Type": kind} if kind else {}), **(headers or {})}
        answer = self._client.open(
            path, method=method, data=body, headers=given, environ_overrides={PEER: Peer(address=address, port=8080)}
        )
        return Asked(answer.status_code, answer.headers, answer.get_data())
