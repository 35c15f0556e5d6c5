"""Names and places as an operator types them: what is kept with a record and in its trace for years must say something (R-01)."""

from typing import Final

_LONGEST: Final = 250


def named(text: str, what: str) -> str:
    """
    Return a name as it is kept, on one line.

    Args:
        text: As it was typed.
        what: The argument, for the message.

    Raises:
        ValueError: empty, too long, or not text; says what to write, never the value.
    """
    found = said(text, what)
    if not found:
        message = f"{what}: name who it was"
        raise ValueError(message)
    return found


def said(text: str, what: str) -> str:
    """Return a text as it is kept, on one line; it may be empty. Raises as `named`."""
    found = " ".join(text.split())
    if len(found) > _LONGEST or not found.isprintable():
        message = f"{what}: write it without control characters, in at most {_LONGEST} characters"
        raise ValueError(message)
    return found
