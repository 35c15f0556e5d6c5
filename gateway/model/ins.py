"""The national health identity (INS): its roots, its shape and its control key."""

import re
from collections.abc import Iterable
from typing import Final

ROOT_NIR: Final = "1.2.250.1.213.1.4.8"
ROOT_NIA: Final = "1.2.250.1.213.1.4.9"
ROOT_TEST: Final = "1.2.250.1.213.1.4.10"
ROOT_DEMO: Final = "1.2.250.1.213.1.4.11"

#: Roots of an INS; a CX-5 of `NH` under the first is the billing number, never an INS (D-19).
ROOTS: Final = (ROOT_NIR, ROOT_NIA, ROOT_TEST, ROOT_DEMO)
PRODUCTION_ROOTS: Final = (ROOT_NIR, ROOT_NIA)

_SHAPE: Final = re.compile(r"[1-9][0-9]{4}(?:[0-9]{2}|2A|2B)[0-9]{8}", re.ASCII)


def control_key(thirteen: str) -> int:
    """
    Return the control key of the first 13 characters: 97 − (number modulo 97), 2A read as 19 and 2B as 18.

    Returns:
        1…97, never 0. Source: D-19.
    """
    return 97 - int(thirteen.replace("2A", "19").replace("2B", "18")) % 97


def is_matricule(text: str) -> bool:
    """
    Tell whether the text is a matricule of 15 characters with its right key.

    Nothing is repaired: spaces, lower case and 13 characters are wrong on the wire. Source: D-19.
    """
    return _SHAPE.fullmatch(text) is not None and control_key(text[:13]) == int(text[13:])


def one_identity(matricules: Iterable[tuple[str, str]]) -> bool:
    """
    Tell whether INS may be one person's: at most one NIR (or test INS), and the temporary NIA that it followed.

    Args:
        matricules: (root, matricule) of each.

    Source: PAM France 2.11, A31 (NIA to NIR); D-1.
    """
    distinct = set(matricules)
    temporary = sum(root == ROOT_NIA for root, _ in distinct)
    return temporary <= 1 and len(distinct) - temporary <= 1


def roots(environment: str) -> tuple[str, ...]:
    """Return the roots that an environment takes: production `.8` and `.9`, test all four (EX_GEN-1430, D-17)."""
    return PRODUCTION_ROOTS if environment == "production" else ROOTS
