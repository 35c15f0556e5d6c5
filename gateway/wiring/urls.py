"""Where the servers are: a variable, or a file that another variable names, since a URL holds a password."""

import errno
import os
from pathlib import Path
from typing import Final

#: Longer than any URL.
_LIMIT_BYTES: Final = 8192


def url_of(variable: str) -> str | None:
    """
    Return a URL: of the variable, else the first line of the file that `<variable>_FILE` names, else None.

    Args:
        variable: `AMQP_URL` or `DATABASE_URL`.

    Raises:
        OSError: the file cannot be read, or its first line is no text: another place is never taken in silence.
    """
    named = os.environ.get(variable)
    if named:
        return named
    path = os.environ.get(f"{variable}_FILE")
    if not path:
        return None
    with Path(path).open("rb") as file:
        line = file.readline(_LIMIT_BYTES).strip()
    if not line or not line.isascii():
        raise OSError(errno.EINVAL, f"its first line is no URL, and {variable}_FILE names it", path)
    return line.decode("ascii")
