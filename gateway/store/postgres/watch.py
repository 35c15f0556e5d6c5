"""What identity watch reads, on PostgreSQL."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from gateway.store import watch_pages
from gateway.store.postgres.session import Session
from gateway.store.watch_views import MisfiledLine, TaskLine


class Watch:
    """The part of the reader that `gateway.store.reader_watch` asks for."""

    def _reading(self) -> AbstractContextManager[Session]:
        raise NotImplementedError

    def tasks(self, filters: Mapping[str, str] = {}, *, done: bool = False, limit: int = 1000) -> list[TaskLine]:
        """Return what a person must look at, the oldest first; see `Reader`."""
        asked = {**dict.fromkeys(watch_pages.TASK_FILTERS), **filters, "done": done, "limit": limit}
        with self._reading() as session:
            return [watch_pages.task_line(row) for row in session.all("list_tasks", asked)]

    def misfiled(self, authority: str, value: str, record: tuple[str, str] | None = None) -> list[MisfiledLine]:
        """Return the documents that came under a local identifier while it named the patient who has them; see `Reader`."""
        asked, asked_value = record or (None, None)
        values = {"authority": authority, "value": value, "record": asked, "record_value": asked_value}
        with self._reading() as session:
            return [watch_pages.misfiled_line(row) for row in session.all("misfiled", values)]
