"""
`GET /deposits/{id}`: what became of a deposit, for the source that sent it and for nobody else (D-16).

A receipt id carries time, source and a MAC: one that is ours and not yet in the store waits, and is told so; whatever else is
asked for is unknown, in the same words, whether it is somebody else's, forged, or was never there.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec

from gateway.adapters.http.call import Call, Refused, Reply
from gateway.adapters.http.exchange import RETRY_SECONDS
from gateway.adapters.http.openapi import refusal
from gateway.adapters.http.registry import Access, Answered, Parameter, Route, Style
from gateway.model.ports import Clock, FileUnusable
from gateway.model.problem import Problem
from gateway.model.source import Source
from gateway.store.port import StoreUnusable
from gateway.store.reader import Reader
from gateway.store.views import DepositLine, DepositPage

_JSON: Final = "application/json"
_QUEUED: Final = "queued"
_RETRY: Final = ("Retry-After", str(RETRY_SECONDS))
#: As many look into the store at once, and so long another one waits for its turn: where the store hangs, threads are left for
#: others.
_READERS: Final = 4
_TURN_SECONDS: Final = 0.5
#: What a receipt id may hold: `gateway.queue.receipt` makes and verifies it.
_ID: Final = "[A-Za-z0-9._~-]{1,160}"


class Issued(Protocol):
    """What a receipt id of ours says."""

    @property
    def issued_at(self) -> datetime:
        """When, aware, UTC."""
        ...

    @property
    def source(self) -> str:
        """Whose message it was given to."""
        ...


class DepositRoutes:
    """The routes of `/deposits`."""

    def __init__(
        self,
        reading: Callable[[], AbstractContextManager[Reader]],
        verify: Callable[[str], Issued | None],
        clock: Clock,
        keep: timedelta,
    ) -> None:
        """
        Take what they look into.

        Args:
            reading: Opens the record store for reading only; called for each request.
            verify: Returns what a receipt id says if its MAC is ours, else None.
            clock: The time.
            keep: How long the store keeps receipts: an older id that it does not have is not waiting.
        """
        self._reading = reading
        self._verify = verify
        self._clock = clock
        self._keep = keep
        self._room = threading.BoundedSemaphore(_READERS)

    def routes(self) -> tuple[Route, ...]:
        """Return the table's rows."""
        return (
            Route(
                method="GET",
                path="/deposits/{id}",
                name="deposits.show",
                summary="What became of a deposit: its state, its codes, its history. For the source that sent it.",
                access=Access.SOURCE,
                handler=self.show,
                parameters=(Parameter(name="id", where="path", text="Receipt id of the deposit.", pattern=f"^{_ID}$"),),
                answers=(
                    Answered(status=200, text="It is decided.", types=(_JSON,), schema=DepositPage),
                    Answered(
                        status=202,
                        text="It waits to be decided: state `queued`.",
                        types=(_JSON,),
                        schema=DepositPage,
                        headers={"Retry-After": "Seconds after which to ask again."},
                    ),
                    refusal(Style.PROBLEM, 404, "No deposit of this source has this id."),
                ),
            ),
        )

    def show(self, call: Call) -> Reply:
        """
        Tell what became of a deposit.

        Raises:
            Refused: DEPOSIT_UNKNOWN (404): it is none of this source's; STORE_UNAVAILABLE (503): the store cannot be read now;
                OVERLOADED (503): too many are reading it.
        """
        page = self._page(call.variables["id"], call.source)
        body = msgspec.json.encode(page)
        if page.outcome is not None:
            return Reply(status=200, body=body, content_type=_JSON)
        return Reply(status=202, body=body, content_type=_JSON, headers=(_RETRY,))

    def _page(self, receipt: str, source: Source) -> DepositPage:
        issued = self._verify(receipt)
        if issued is None or issued.source != source.id:
            raise Refused(Problem(code="DEPOSIT_UNKNOWN"))
        if not self._room.acquire(timeout=_TURN_SECONDS):
            raise Refused(Problem(code="OVERLOADED"), headers=(_RETRY,))
        try:
            with self._reading() as reader:
                found = reader.deposit(receipt)
        except (StoreUnusable, FileUnusable):
            raise Refused(Problem(code="STORE_UNAVAILABLE"), headers=(_RETRY,)) from None
        finally:
            self._room.release()
        if found is not None:
            if found.deposit.source != source.id:
                raise Refused(Problem(code="DEPOSIT_UNKNOWN"))
            return found
        if self._clock.now() - issued.issued_at > self._keep:
            raise Refused(Problem(code="DEPOSIT_UNKNOWN"))
        return _waiting(receipt, issued.issued_at, source)


def _waiting(receipt: str, issued_at: datetime, source: Source) -> DepositPage:
    """Return what is known of a deposit before it is decided: the rest is sealed."""
    line = DepositLine(
        id=receipt,
        received_at=issued_at.isoformat(timespec="milliseconds"),
        door="",
        source=source.id,
        establishment=source.establishment,
        message_id="",
        document_ids=(),
        act=None,
        state=_QUEUED,
        verdict=None,
        codes=(),
        patient=None,
    )
    return DepositPage(deposit=line, decided_at=None, message_type=None, outcome=None)
