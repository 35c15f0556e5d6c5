"""How many bytes of messages the connections of a door hold together."""

from typing import Final

#: A connection that holds no more than this is never refused: a short message always finds room.
FREE_BYTES: Final = 64 * 1024


class Budget:
    """The bytes that a door bears, and what each connection holds of them."""

    def __init__(self, limit_bytes: int) -> None:
        """
        Begin with nothing held.

        Args:
            limit_bytes: Of all connections together.
        """
        self._limit = limit_bytes
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes held by all connections."""
        return self._held

    def change(self, before: int, after: int) -> None:
        """Note that a connection that held `before` bytes holds `after`."""
        self._held += after - before

    def refuses(self, held: int) -> bool:
        """Tell whether a connection that holds so many bytes has to give them up."""
        return held > FREE_BYTES and self._held > self._limit
