"""Names are compared in one normal form, never stored in it."""

import unicodedata
from typing import Final

_LIGATURES: Final = str.maketrans({"Æ": "AE", "æ": "AE", "Œ": "OE", "œ": "OE"})
_APOSTROPHES: Final = "’ʼ´`'"
_DASHES: Final = "‐‑‒–—−-"
_SPACES: Final = str.maketrans(dict.fromkeys(_APOSTROPHES + _DASHES, " "))


def compared(name: str) -> str:
    """
    Return N(x), the form in which two names are compared.

    Marks dropped, ligatures written out, upper case, apostrophes and hyphens as spaces, spaces collapsed. A remaining character
    outside A–Z and space stays, and is a difference.

    Source: D-19 (LS EXI ID 10, EXI SI 29–30).
    """
    spaced = name.translate(_SPACES).translate(_LIGATURES)
    bare = "".join(c for c in unicodedata.normalize("NFD", spaced) if not unicodedata.combining(c))
    return " ".join(bare.upper().split())
