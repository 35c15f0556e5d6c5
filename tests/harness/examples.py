"""How many examples a property is worth: a slice in every run, as many as are asked for in a proof."""

import os

#: Read by the properties that a proof runs longer.
VARIABLE = "DMP_EXAMPLES"


def examples(usual: int) -> int:
    """Return how many: the usual number, or what the environment asks for."""
    return int(os.environ.get(VARIABLE) or usual)
