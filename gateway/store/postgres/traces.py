"""The trace of each patient as a chain, read from the database."""

import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager

from gateway.store import columns
from gateway.store.chain import Head, TraceOf
from gateway.store.postgres.session import Session


class Traces:
    """The part of the reader that returns chains."""

    def _reading(self) -> AbstractContextManager[Session]:
        raise NotImplementedError

    def trace_of(self, patient: int) -> TraceOf | None:
        """Return the whole trace of a patient; see `Reader.trace_of`."""
        with self._reading() as session:
            row = session.one("trace_head", (patient,))
            lines = session.all("trace_lines", (patient,))
        return None if row is None else columns.trace_of(patient, Head(length=row[0], hash=row[1]), lines)

    def traces(self) -> Iterator[TraceOf]:
        """Return the trace of each patient, one at a time; see `Reader.traces`."""
        last = 0
        while True:
            with self._reading() as session:
                rows = session.all("next_traces", (last,))
            if not rows:
                return
            for (patient, length, head), lines in itertools.groupby(rows, key=lambda row: row[:3]):
                # A patient without a line has one row all the same.
                found = [line[3:] for line in lines if line[8] is not None]
                yield columns.trace_of(patient, Head(length=length, hash=head), found)
            last = int(rows[-1][0])
