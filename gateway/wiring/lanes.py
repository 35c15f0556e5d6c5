"""How it stands with the lanes of a broker, asked with the keys of a data directory."""

from gateway.queue.errors import KeysUnusable
from gateway.queue.keys import BorrowedKeys, Keys
from gateway.queue.rabbitmq.status import BrokerStatus, broker_status
from gateway.wiring.clock import SystemClock
from gateway.wiring.data import DataDirectory


def lanes_status(url: str, directory: DataDirectory, place: str = "") -> BrokerStatus:
    """
    Return how it stands with the lanes.

    Args:
        url: The broker.
        directory: Whose keys the workers are asked with; without them they are not asked.
        place: Of the management plug-in.

    Raises:
        BrokerUnusable: the broker cannot be reached.
    """
    try:
        keys: Keys | str = BorrowedKeys.open(directory.keys, SystemClock())
    except (KeysUnusable, OSError):
        keys = f"there are none to be read in {directory.path}"
    return broker_status(url, keys, place)
