"""The Postman collection of the samples, and the table that it was made from."""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "samples"))

from recipe.postman import FILE, PATIENT, REQUESTS, Request

_SAMPLES = Path(__file__).resolve().parents[2] / "samples"


def committed() -> dict[str, Any]:
    """Return the collection as it is committed."""
    found: dict[str, Any] = json.loads((_SAMPLES / FILE).read_bytes())
    return found


__all__ = ["PATIENT", "REQUESTS", "Request", "committed"]
