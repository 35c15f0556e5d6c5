"""The base of every noun, and what no backend of ours can hold."""

import re
from typing import Final

import msgspec

#: NUL, and lone surrogates: PostgreSQL refuses both in text and in jsonb, so the model does it for every backend.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """
    Base of every noun: frozen, keyword-only, unknown fields refused when decoding.

    Only decoding checks types (constructors are checked by mypy); invariants stand in ``__post_init__``.
    """


def storable(text: str) -> str:
    """
    Return ``text`` unchanged if every backend can hold it.

    Args:
        text: Any text read from a message.

    Returns:
        The same text.

    Raises:
        ValueError: NUL or a lone surrogate stands in it; the message names the offset, never the text.
    """
    found = _UNSTORABLE.search(text)
    if found is not None:
        message = f"U+{ord(found.group()):04X} at offset {found.start()} cannot be stored"
        raise ValueError(message)
    return text
