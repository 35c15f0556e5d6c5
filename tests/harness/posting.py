"""Requests to the HTTP door of a gateway, each on a connection of its own."""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

_ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """What was answered; headers by lower-case name."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.content)

    @property
    def facts(self) -> tuple[int, str]:
        """Status, and the code of a refusal, else the state."""
        told = self.json
        return self.status, str(told.get("code") or told.get("state"))


def ask(port: int, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
    """Send a request and return its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
    try:
        connection.request(method, path, body or None, dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()
