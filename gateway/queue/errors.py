"""
Why a sealed deposit cannot be opened, and why keys cannot be used.

::

    Unopened                the deposit stays queued; others pass by it
    ├── Damaged             not what a door of ours wrote, or written for another lane or receipt
    ├── NewerVersion        written by a newer gateway: this one leaves it to that one
    └── KeyMissing          the key of its day is not on this machine
    KeysUnusable            no secret yet, or files that others may read: nothing can be sealed or opened
    LayoutNewer             the queue's file was laid out by a newer gateway

None of their texts holds anything of a deposit's content.
"""


class Unopened(Exception):
    """The deposit cannot be opened now. It stays queued."""


class Damaged(Unopened):
    """The bytes are not what a door of ours wrote."""


class NewerVersion(Unopened):
    """The bytes were written by a newer gateway."""


class KeyMissing(Unopened):
    """The key of that ring and day is not on this machine."""


class KeysUnusable(Exception):
    """The keys cannot be used; the text says which file and what to do."""


class LayoutNewer(Exception):
    """The file was laid out by a newer gateway: start that version, or drain the queue with it first."""
