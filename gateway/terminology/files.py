"""How the tables are read: package data, once, when first asked for."""

import functools
import pkgutil
from typing import Final, TypeVar

import msgspec

_PACKAGE: Final = "gateway.terminology"

Row = TypeVar("Row", bound=msgspec.Struct)


@functools.cache
def load(name: str, form: type[Row]) -> Row:
    """
    Return a table of this package, read once.

    Args:
        name: File name without its ending.
        form: The struct that the file has the form of.

    Raises:
        LookupError: there is no such table.
    """
    try:
        data = pkgutil.get_data(_PACKAGE, f"data/{name}.json")
    except OSError:
        data = None
    if data is None:
        raise LookupError(f"no table {name}")
    return msgspec.json.decode(data, type=form)
