"""What goes back for one payload: at once, and later."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from gateway.model.outcome import Outcome


class Later:
    """The application acknowledgment that follows once its message is decided (enhanced mode)."""

    def __init__(
        self,
        outcome: Awaitable[Outcome] | None,
        render: Callable[[Outcome | None], bytes | None],
        drop: Callable[[str], None],
    ) -> None:
        """
        Take what is waited for.

        Args:
            outcome: Of the deposit; None: the message is decided already.
            render: Makes the acknowledgment of it, and tells so; None where MSH-16 asks for none of that kind.
            drop: Tells that there will be none, and why.
        """
        self._outcome = outcome
        self._render = render
        self._drop = drop

    async def answer(self) -> bytes | None:
        """
        Return the acknowledgment once the message is decided, however long that takes; to be awaited once.

        Returns:
            The acknowledgment, without framing; None if none is wanted for how it ended.

        Raises:
            Unavailable: how it ended will not be known here.
        """
        return self._render(None if self._outcome is None else await self._outcome)

    def dropped(self, reason: str) -> None:
        """
        Give it up: nobody is there to hear it. What it would say is on the deposit.

        Args:
            reason: Why, one word for counters.
        """
        if isinstance(self._outcome, asyncio.Future):
            self._outcome.cancel()
        self._drop(reason)


class Answers(msgspec.Struct, frozen=True):
    """What goes back for one payload."""

    #: The answer that is there, without framing; None where none is wanted.
    first: bytes | None
    #: Application acknowledgments that are still to come, each a message of its own, in any order.
    later: tuple[Later, ...] = ()
