"""Every SQL text of the store on PostgreSQL, by name: read from `sql/postgres/named/`, each a point that tests can stop at."""

import re
from collections.abc import Iterator
from importlib import resources
from types import MappingProxyType
from typing import Final

from gateway.model.base import Model

_HEADER: Final = re.compile(r"-- name: (?P<name>[a-z_]+)(?P<hot> hot)?")
_FOLDER: Final = "sql/postgres/named"

#: The PostgreSQL types of what each COPY sends, in the order of its columns.
COPIED: Final = MappingProxyType(
    {
        "copy_documents": ("int8", "text", "text", "text", "int8", *("text",) * 12, "int4", "text"),
        "copy_document_identifiers": ("int8", "text", "text", "text"),
        # A UUID is sent as its sixteen bytes, which is what it is in binary.
        "copy_entries": ("int8", "text", "int4", "bytea", "int4", "text"),
        "copy_marks": ("int8", *("text",) * 6),
        "copy_source_forms": ("text", "text"),
        "copy_source_parts": ("text", "int4", "text", "int8", "bytea"),
        "copy_refusals": (*("text",) * 4, "int8", *("text",) * 4),
        "copy_receipts": ("text",) * 17,
        "copy_trace": (*("text",) * 4, "int8", *("text",) * 4, "int8", "int8", "text"),
        "copy_outbox": ("text",) * 5,
    }
)


class Named(Model, frozen=True, kw_only=True):
    """A statement."""

    name: str
    text: bytes
    #: On the way of deposits and events: its plan is asserted.
    hot: bool


def _read() -> Iterator[Named]:
    for entry in sorted(resources.files("gateway.store").joinpath(_FOLDER).iterdir(), key=lambda each: each.name):
        for block in re.split(r"(?m)^(?=-- name: )", entry.read_text(encoding="utf-8")):
            header = _HEADER.match(block)
            if header is None:
                continue
            text = "\n".join(line for line in block.splitlines() if not line.startswith("--"))
            yield Named(name=header["name"], text=text.strip().encode(), hot=header["hot"] is not None)


def _table() -> dict[str, Named]:
    table: dict[str, Named] = {}
    for named in _read():
        if named.name in table:
            message = f"two statements are named {named.name}"
            raise ValueError(message)
        table[named.name] = named
    return table


#: Every statement by its name.
STATEMENTS: Final = MappingProxyType(_table())
