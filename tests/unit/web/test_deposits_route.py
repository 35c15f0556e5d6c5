"""GET /deposits/{id}: to its source what became of it, to everybody else nothing, in the same words."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from gateway.model.outcome import Outcome
from gateway.model.problem import Problem
from gateway.model.source import Directory
from gateway.model.verdict import Verdict
from gateway.queue.receipt import MacReceipts
from gateway.store.port import StoreUnusable
from gateway.store.reader import Reader
from gateway.store.views import DepositLine, DepositPage
from gateway.web.deposits import DepositRoutes
from tests.harness.site import NOW, Asked, Site, Still

OWN, OTHER = "sil-valmont", "dpi-aubier"
KEEP = timedelta(days=90)


class Shelf:
    """A store to read: pages by receipt."""

    def __init__(self) -> None:
        self.pages: dict[str, DepositPage] = {}
        self.failure: Exception | None = None
        self.opened = 0

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        self.opened += 1
        if self.failure is not None:
            raise self.failure
        yield cast("Reader", SimpleNamespace(deposit=self.pages.get))

    def put(self, receipt: str, source: str, verdict: Verdict, *codes: str) -> DepositPage:
        line = DepositLine(
            id=receipt,
            received_at=NOW.isoformat(),
            door="http",
            source=source,
            establishment="chu-valmont",
            message_id="M-1",
            document_ids=("1.2.3",),
            act="add",
            state=verdict.value,
            verdict=verdict.value,
            codes=codes,
            patient="284103523811464",
        )
        outcome = Outcome(verdict=verdict, receipt=receipt, problems=tuple(Problem(code=code) for code in codes), rule="O-2")
        page = DepositPage(deposit=line, decided_at=NOW.isoformat(), message_type="CDA", outcome=outcome)
        self.pages[receipt] = page
        return page


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def site(shelf: Shelf, receipts: MacReceipts, clock: Still, directory: Directory) -> Site:
    return Site(DepositRoutes(shelf.reading, receipts.verify, clock, KEEP).routes(), directory)


def unknown(answer: Asked) -> bytes:
    """The body of a 404 without what is of the request alone."""
    assert answer.status == 404, answer.content
    told = answer.json
    assert told.pop("request")
    assert told["code"] == "DEPOSIT_UNKNOWN"
    return msgspec.json.encode(told, order="sorted")


@pytest.mark.parametrize(
    ("verdict", "codes"), [(Verdict.STORED, ()), (Verdict.REFUSED, ("OPPOSED",)), (Verdict.REJECTED, ("INS_KEY",))]
)
def test_its_source_is_told_the_page(
    site: Site, shelf: Shelf, receipts: MacReceipts, verdict: Verdict, codes: tuple[str, ...]
) -> None:
    receipt = receipts.issue(OWN, NOW)
    page = shelf.put(receipt, OWN, verdict, *codes)
    answer = site.ask("GET", f"/deposits/{receipt}", source=OWN)
    assert (answer.status, answer.content) == (200, site.ask("GET", f"/deposits/{receipt}/", source=OWN).content)
    assert msgspec.json.decode(answer.content, type=DepositPage) == page
    assert (answer.json["deposit"]["state"], answer.json["outcome"]["rule"]) == (verdict.value, "O-2")
    assert answer.headers["Cache-Control"] == "no-store"


def test_one_of_ours_that_is_not_there_yet_waits(site: Site, receipts: MacReceipts) -> None:
    receipt = receipts.issue(OWN, NOW)
    answer = site.ask("GET", f"/deposits/{receipt}", source=OWN)
    assert (answer.status, answer.json["deposit"]["state"], answer.json["outcome"]) == (202, "queued", None)
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json["deposit"]["received_at"].startswith("2026-03-10T08:00:00")


def test_one_that_would_have_been_forgotten_is_unknown(site: Site, receipts: MacReceipts, clock: Still) -> None:
    receipt = receipts.issue(OWN, NOW)
    clock.at = NOW + KEEP
    assert site.ask("GET", f"/deposits/{receipt}", source=OWN).status == 202
    clock.at += timedelta(seconds=1)
    unknown(site.ask("GET", f"/deposits/{receipt}", source=OWN))


def test_everybody_else_is_told_what_is_told_of_what_never_was(site: Site, shelf: Shelf, receipts: MacReceipts) -> None:
    decided, waiting, foreign = receipts.issue(OWN, NOW), receipts.issue(OWN, NOW), receipts.issue(OTHER, NOW)
    shelf.put(decided, OWN, Verdict.STORED)
    forged = MacReceipts(b"another secret!!").issue(OTHER, NOW)
    shelf.put(forged, OTHER, Verdict.STORED)
    last = "0" if foreign[-1] != "0" else "1"
    never = [forged, "x", "0" * 160, foreign[:-1] + last, foreign.lower(), "..", "%00", "é"]
    told = {unknown(site.ask("GET", f"/deposits/{receipt}", source=OTHER)) for receipt in (decided, waiting, *never)}
    assert len(told) == 1
    # Of none of them was anything looked for: neither what is there nor how long it takes tells more.
    assert shelf.opened == 0


def test_a_page_of_another_source_under_an_id_of_ours_is_not_shown(site: Site, shelf: Shelf, receipts: MacReceipts) -> None:
    receipt = receipts.issue(OWN, NOW)
    shelf.put(receipt, OTHER, Verdict.STORED)
    unknown(site.ask("GET", f"/deposits/{receipt}", source=OWN))


def test_a_store_that_cannot_be_read_is_503(site: Site, shelf: Shelf, receipts: MacReceipts) -> None:
    shelf.failure = StoreUnusable("/var/lib/dmp/store.db is there and cannot be read")
    answer = site.ask("GET", f"/deposits/{receipts.issue(OWN, NOW)}", source=OWN)
    assert (answer.status, answer.json["code"]) == (503, "STORE_UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) > 0
    assert b"/var/lib" not in answer.content


def test_a_stranger_is_not_told_that_ids_exist(site: Site, receipts: MacReceipts) -> None:
    answer = site.ask("GET", f"/deposits/{receipts.issue(OWN, NOW)}", source=OWN, address="192.0.2.1")
    assert (answer.status, answer.json["code"]) == (401, "NOT_AUTHENTICATED")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_it_is_only_read(site: Site, receipts: MacReceipts, method: str) -> None:
    assert site.ask(method, f"/deposits/{receipts.issue(OWN, NOW)}", source=OWN).status == 405


def test_where_the_store_hangs_few_wait_for_it(
    site: Site, shelf: Shelf, receipts: MacReceipts, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = receipts.issue(OWN, NOW)
    shelf.put(receipt, OWN, Verdict.STORED)
    gate, inside = threading.Event(), threading.Semaphore(0)

    def hang(_: str) -> DepositPage | None:
        inside.release()
        assert gate.wait(20)
        return None

    with monkeypatch.context() as patched, ThreadPoolExecutor(4) as readers:
        patched.setattr(shelf, "pages", SimpleNamespace(get=hang))
        waiting = [readers.submit(site.ask, "GET", f"/deposits/{receipt}", source=OWN) for _ in range(4)]
        try:
            assert all(inside.acquire(timeout=10) for _ in waiting)
            answer = site.ask("GET", f"/deposits/{receipt}", source=OWN)
        finally:
            gate.set()
        assert (answer.status, answer.json["code"]) == (503, "OVERLOADED")
        assert {each.result().status for each in waiting} == {202}
    assert site.ask("GET", f"/deposits/{receipt}", source=OWN).status == 200
