"""What was read out of a document, as rows: numbered in its order, with ids that sort by time (D-14)."""

import hashlib
from datetime import datetime

import msgspec

from gateway.model.document import Document
from gateway.store.rows import EntryRow


def entry_rows(receipt: str, document: Document, at: datetime) -> tuple[EntryRow, ...]:
    """
    Return the entries of a document that is stored.

    Args:
        receipt: Of its deposit.
        document: With what was read out of it.
        at: The instant of the transaction, aware.

    Returns:
        One row per entry; a repeated transaction of the same instant gives the same ids.
    """
    if not document.entries:
        return ()
    first = _ordered(int(at.timestamp() * 1000), f"{receipt}/{document.entry.unique_id}")
    return tuple(
        EntryRow(
            id=(first + number).to_bytes(16, "big"),
            mapper_version=document.mapper_version,
            entry=msgspec.json.encode(entry).decode(),
        )
        for number, entry in enumerate(document.entries, start=1)
    )


def _ordered(milliseconds: int, name: str) -> int:
    """
    Return the first of the UUIDs of version 7 of a document: 48 bits of Unix time, then bits of the name, the last 24 counting.

    Source: RFC 9562, 5.7 and 6.2.
    """
    named = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=10).digest(), "big") & ~0xFFFFFF
    value = (milliseconds & (1 << 48) - 1) << 80 | named
    value = value & ~(0xF << 76) | 0x7 << 76
    return value & ~(0x3 << 62) | 0x2 << 62
