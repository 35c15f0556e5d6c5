"""Configurations that a test writes: sources, their establishments, and caps."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.model.source import Grant


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """A source: MSH-3 and MSH-4 (first components), all grants, admitted on loopback; with a token, over HTTP by it alone."""

    id: str
    establishment: str
    application: str
    facility: str
    grants: tuple[str, ...] = tuple(grant.value for grant in Grant)
    #: The bearer token itself; the file holds its hash.
    token: str = ""
    #: Of its system, and the contentTypeCode of what it sends alone.
    oid: str = ""
    content_type: str = ""

    def lines(self) -> list[str]:
        """Return what only some sources have."""
        known = {"oid": self.oid, "content_type": self.content_type}
        lines = [f"{key} = {_text(value)}" for key, value in known.items() if value]
        digest = hashlib.sha256(self.token.encode()).hexdigest()
        return [*lines, f"tokens = {_list([f'sha256:{digest}'])}"] if self.token else lines


@dataclass(frozen=True, kw_only=True)
class Facility:
    """An establishment."""

    id: str
    finess_ej: str
    finess_eg: tuple[str, ...] = ()
    authorities: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kind: str = "hospital"


def write(
    path: Path,
    facilities: Iterable[Facility],
    sources: Iterable[Admitted],
    *,
    environment: str = "test",
    sections: Iterable[str] = (),
) -> Path:
    """
    Write a configuration that admits these sources from the loopback interface by MLLP.

    Args:
        path: Of the file.
        facilities: The establishments.
        sources: The sources.
        environment: `test` or `production`.
        sections: Lines of further sections.

    Returns:
        The path.
    """
    sources = list(sources)
    lines = [f"environment = {_text(environment)}", *sections]
    for facility in facilities:
        lines += [
            "[[establishments]]",
            f"id = {_text(facility.id)}",
            f"name = {_text(facility.id)}",
            f"finess_ej = {_text(facility.finess_ej)}",
            f"finess_eg = {_list(facility.finess_eg)}",
            f"kind = {_text(facility.kind)}",
            "[establishments.authorities]",
            *(f"{domain} = {_list(spellings)}" for domain, spellings in facility.authorities.items()),
        ]
    for source in sources:
        lines += [
            "[[sources]]",
            f"id = {_text(source.id)}",
            f"establishment = {_text(source.establishment)}",
            f"application = {_text(source.application)}",
            f"facility = {_text(source.facility)}",
            f"grants = {_list(source.grants)}",
            *source.lines(),
        ]
    by_address = {"mllp": sources, "http": [source for source in sources if not source.token]}
    for door, admitted in by_address.items():
        if admitted:
            lines += [
                "[[connections]]",
                f"door = {_text(door)}",
                'networks = ["127.0.0.0/8", "::1/128"]',
                f"sources = {_list(source.id for source in admitted)}",
            ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list(values: Iterable[str]) -> str:
    return "[" + ", ".join(map(_text, values)) + "]"
