"""The national number of a professional (PS_IdNat), however it is written."""

import re
from typing import Final

#: A digit for the directory, then the number: 8 RPPS (11 digits), 0 ADELI (9 characters). Source: CI-SIS, PS_IdNat.
_NATIONAL: Final = re.compile(r"8\d{11}|0\d[0-9AB]\d{7}", re.ASCII)
_RPPS: Final = re.compile(r"\d{11}", re.ASCII)
_ADELI: Final = re.compile(r"\d[0-9AB]\d{7}", re.ASCII)


def professional_key(written: str) -> str | None:
    """
    Return what two writings of a professional's number have in common: what an opposition to a professional is tested on.

    Args:
        written: XCN-1 or the extension of an author's id: with the digit of its directory (``8`` RPPS, ``0`` ADELI) or without,
            whatever its type says.

    Returns:
        The number with that digit; any other identifier (of an establishment's own, ``3…``) in capitals without blanks; None if
        nothing is written.

    Source: HL7v2 France, XCN; CI-SIS, PS_IdNat; R-14.
    """
    text = "".join(written.split()).upper()
    if _RPPS.fullmatch(text):
        return f"8{text}"
    if _ADELI.fullmatch(text):
        return f"0{text}"
    return text or None


def is_national(key: str) -> bool:
    """Whether a key is a national number: RPPS or ADELI with the digit of its directory."""
    return _NATIONAL.fullmatch(key) is not None
