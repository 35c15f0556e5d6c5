"""Whether what is not in the store may wait in a lane."""

import msgspec


class Lanes(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands with the lanes that carry deposits."""

    #: There is a broker, and it was looked at.
    asked: bool = False
    #: Nothing of ours waits there.
    empty: bool = True
    #: Messages that it holds; None: not known.
    at_most: int | None = 0
    #: What it holds, and what to do.
    words: str = ""
    to_do: str = ""
