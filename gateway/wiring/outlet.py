"""Where a process shows its health: on a page of its own, to the supervisor that started it, or nowhere."""

from collections.abc import Callable
from typing import Self

from gateway.config.load import Loaded
from gateway.wiring.health import Health
from gateway.wiring.page import Page, address
from gateway.wiring.telling import Telling


class Outlet:
    """
    Opened once, closed once.

    Args:
        where: Host and port of a page; None: none.
        told: Descriptor of the supervisor's socket; None: nobody asks.
    """

    def __init__(self, where: tuple[str, int] | None = None, told: int | None = None) -> None:
        """Keep where; `open` opens."""
        self._where = where
        self._told = told
        self._page: Page | None = None

    @classmethod
    def of(cls, loaded: Loaded, *, supervised: bool = False, told: int | None = None) -> Self:
        """
        Return the outlet of a process.

        Args:
            loaded: The settings say where its page is.
            supervised: Its supervisor has the page, for all.
            told: As of the class.
        """
        return cls(None if supervised else address(loaded.settings.metrics.listen), told)

    @property
    def is_used(self) -> bool:
        """Whether anybody can see what is shown."""
        return self._where is not None or self._told is not None

    def open(self, health: Health, pulse: Callable[[], str | None]) -> str | None:
        """
        Show a process from now on; return the URL of its page, if it has one.

        Raises:
            OSError: its port is taken.
        """
        if self._told is not None:
            Telling(self._told, health)
        if self._where is not None:
            self._page = Page(*self._where, health, pulse)
        return self._page.url if self._page is not None else None

    def close(self) -> None:
        """Show nothing more."""
        if self._page is not None:
            self._page.close()
