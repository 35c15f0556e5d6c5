"""Read by a gateway's processes at their start where `PYTHONPATH` names this folder: they obey `tests.harness.orders`."""

from tests.harness.orders import obey

obey()
