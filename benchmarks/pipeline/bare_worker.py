"""
The floor's worker, a process of its own: `python -m benchmarks.pipeline.bare_worker BROKER QUEUE DATABASE ROWS`.

Takes what is published, up to a hundred at a time, sends the rows that a stored document leaves by the same COPYs under other
names, commits, acknowledges. Nothing is opened, locked, looked up or decided. Prints a line when it takes; ends when standard
input does.
"""

import queue
import sys
import threading
from pathlib import Path
from typing import Any, Final

import msgspec
import pika
import psycopg
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection

from benchmarks.growth import Copied, copied, renamed
from gateway.store.postgres.statements import COPIED, STATEMENTS

_BATCH: Final = 100
#: Unacknowledged at most: what the gateway's worker takes of all its lanes.
_PREFETCH: Final = 500


class _Rows:
    def __init__(self, database: str, template: list[Copied]) -> None:
        self._connection = psycopg.connect(database, autocommit=True)
        self._template = [(name, copied(name)[1], rows) for name, rows in template if name in COPIED]
        self._number = 0

    def store(self, count: int) -> None:
        """Write the rows of as many documents in one transaction, table by table."""
        tails = [f".{self._number + each}" for each in range(count)]
        self._number += count
        self._connection.execute("BEGIN")
        for name, columns, rows in self._template:
            with self._connection.cursor() as cursor, cursor.copy(STATEMENTS[name].text) as copy:
                copy.set_types(COPIED[name])
                for tail in tails:
                    for row in rows:
                        copy.write_row(renamed(columns, row, tail))
        self._connection.execute("COMMIT")


def _work(taken: "queue.Queue[int]", rows: _Rows, connection: BlockingConnection, channel: BlockingChannel) -> None:
    while True:
        tags = [taken.get()]
        while len(tags) < _BATCH and not taken.empty():
            tags.append(taken.get())
        rows.store(len(tags))
        connection.add_callback_threadsafe(lambda tag=tags[-1]: channel.basic_ack(tag, multiple=True))


def main() -> None:
    """Work until standard input ends."""
    url, lane, database, template = sys.argv[1:5]
    rows = _Rows(database, msgspec.msgpack.decode(Path(template).read_bytes(), type=list[tuple[str, list[list[Any]]]]))
    connection = BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.basic_qos(prefetch_count=_PREFETCH)
    taken: queue.Queue[int] = queue.Queue()
    channel.basic_consume(lane, lambda _channel, how, _properties, _body: taken.put(how.delivery_tag))
    threading.Thread(target=_work, args=(taken, rows, connection, channel), daemon=True).start()
    print("{}", flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), connection.add_callback_threadsafe(channel.stop_consuming))).start()
    channel.start_consuming()


if __name__ == "__main__":
    main()
