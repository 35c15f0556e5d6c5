"""The sabotages of the way between door and store: broker, queue, worker. Numbers as in `table`."""

from typing import Final

from tests.sabotage.sabotage import Edit, Sabotage, breaking

_RABBIT: Final = "gateway/queue/rabbitmq"
_CONSUME: Final = "gateway/worker/consume.py"
_ORDER: Final = "tests/contract/queue/test_worker_order.py"
_GUARDS: Final = "tests/unit/queue/test_broker_guards.py"
_TAGS: Final = "tests/unit/queue/test_broker_tags.py"

#: What a queue would need to hand a batch back.
_HAND_BACK: Final = """    def hand_back(self):
        with self._lock:
            gone, self._in_hand = list(self._in_hand.values()), {}
        consumer = self._consumer
        with consumer._changed:
            for taken in gone:
                consumer._unsettled.pop(taken.tag, None)
        self._thread.call(lambda: [consumer._channel.basic_nack(taken.tag, requeue=True) for taken in gone])

"""
_ON_LOOP: Final = """def _on_loop(queue, call):
    thread = getattr(queue, "_thread", None)
    if not hasattr(thread, "loop"):
        return call()
    done = threading.Event()
    ended = []

    def run():
        try:
            ended.append((call(), None))
        except BaseException as failure:
            ended.append((None, failure))
        done.set()

    thread.call(run)
    done.wait()
    if ended[0][1] is not None:
        raise ended[0][1]
    return ended[0][0]


"""

PIPELINE: Final[tuple[Sabotage, ...]] = (
    Sabotage(
        name="4",
        what="what cannot be applied just now is handed back to the broker (nack, requeue)",
        edits=(
            Edit(
                file=_CONSUME,
                find="            except Transient as failure:\n",
                put="            except Transient as failure:\n"
                '                if hasattr(self._queue, "hand_back"):\n'
                "                    self._queue.hand_back()\n"
                "                    return None\n",
            ),
            Edit(
                file=f"{_RABBIT}/queue.py",
                find="    # -- markers: `gateway.queue.markers.Marked`\n",
                put=f"{_HAND_BACK}    # -- markers: `gateway.queue.markers.Marked`\n",
            ),
        ),
        tests=(_ORDER,),
    ),
    breaking(
        "5",
        "a worker that ends closes its channel politely with deliveries in hand",
        f"{_RABBIT}/consumer.py",
        "        self.link.drop()\n",
        "        self.link.close()\n",
        _ORDER,
    ),
    breaking(
        "6",
        "the broker gives up what was delivered three times",
        f"{_RABBIT}/topology.py",
        "DELIVERY_LIMIT: Final = 1_000_000",
        "DELIVERY_LIMIT: Final = 3",
        _ORDER,
    ),
    breaking(
        "9c",
        "the broker counts what it delivers as settled (auto_ack)",
        f"{_RABBIT}/consumer.py",
        'consumer_tag=f"{lane}.{self._epoch}")',
        'consumer_tag=f"{lane}.{self._epoch}", auto_ack=True)',
        _GUARDS,
        "tests/contract/queue/test_faults.py",
    ),
    breaking(
        "9d",
        "an event over the broker is answered before its commit",
        f"{_RABBIT}/serving.py",
        "            return EventReply(outcome=self._submit(request.reception, request.event, request.deadline))\n",
        "            asked = (request.reception, request.event, request.deadline)\n"
        "            threading.Thread(target=self._submit, args=asked, daemon=True).start()\n"
        '            return EventReply(outcome=Outcome(verdict="applied", receipt=taken.receipt))\n',
        _GUARDS,
    ),
    breaking(
        "10b",
        "AA is given once a deposit was sent, before the broker's confirm",
        f"{_RABBIT}/door.py",
        "                taken = await confirmed\n",
        "                taken = True\n",
        _GUARDS,
    ),
    breaking(
        "10c",
        "AA is given for a deposit that no queue took (basic.return)",
        f"{_RABBIT}/publisher.py",
        "here = taken and message.receipt not in self._returned",
        "here = taken",
        _GUARDS,
        _TAGS,
    ),
    breaking(
        "10d",
        "deposits are published without asking to have them back (not mandatory)",
        f"{_RABBIT}/publisher.py",
        "mandatory=True)",
        "mandatory=False)",
        _TAGS,
    ),
    breaking(
        "10e",
        "an event without an answer is answered AA at its deadline",
        f"{_RABBIT}/door.py",
        "            raise Unavailable(_NO_ANSWER) from None\n        finally:\n"
        "            answer.cancel()\n\n    def _require_day",
        '            return Outcome(verdict="applied", receipt=reception.receipt)\n        finally:\n'
        "            answer.cancel()\n\n    def _require_day",
        _GUARDS,
    ),
    breaking(
        "10f",
        "a reply is given to whoever waits, whatever it answers",
        f"{_RABBIT}/replies.py",
        "            waiting = self._waiting.get(receipt)\n",
        "            waiting = next(iter(self._waiting.values()), None)\n",
        _GUARDS,
    ),
    breaking(
        "10g",
        "a deposit whose confirm stays out is published again",
        f"{_RABBIT}/door.py",
        "        except TimeoutError:\n            raise Unavailable(UNAVAILABLE) from None\n        finally:\n"
        "            self.publisher.withdraw(message)\n",
        "        except TimeoutError:\n            self.publisher.send(message)\n"
        "            raise Unavailable(UNAVAILABLE) from None\n",
        _GUARDS,
    ),
    breaking(
        "10h",
        "what was in flight when the line was lost is published again on the next one",
        f"{_RABBIT}/publisher.py",
        "        _tell(gone, taken=False)\n\n    def blocked",
        "        self._waiting.extend(gone)\n        self._waiting_bytes = sum(len(each.body) for each in gone)\n"
        "        self._thread.call(self._pump)\n\n    def blocked",
        _GUARDS,
    ),
    breaking(
        "10i",
        "whoever published waits for the confirms of all that is in flight",
        f"{_RABBIT}/publisher.py",
        "            _tell([message], taken=here)\n",
        "            self._late = [*getattr(self, '_late', ()), (message, here)]\n"
        "            if not self._in_flight:\n"
        "                for late, was in self._late:\n"
        "                    _tell([late], taken=was)\n"
        "                self._late = []\n",
        _GUARDS,
    ),
    breaking(
        "17",
        "a deposit travels in clear",
        "gateway/queue/seal.py",
        "key.cipher.encrypt(nonce, payload, clear)))",
        "payload, key.cipher.encrypt(nonce, payload, clear)))",
        "tests/unit/queue/test_seal.py",
    ),
    Sabotage(
        name="18",
        what="the worker applies on the thread that gives the broker its signs of life",
        edits=(
            Edit(
                file=_CONSUME,
                find="lambda: self._store.apply(deposits)",
                put="lambda: _on_loop(self._queue, lambda: self._store.apply(deposits))",
            ),
            Edit(
                file=_CONSUME,
                find="def _tell(reception: Reception, outcome: Outcome) -> None:\n",
                put=f"{_ON_LOOP}def _tell(reception: Reception, outcome: Outcome) -> None:\n",
            ),
        ),
        tests=("tests/unit/worker/test_threads.py",),
    ),
    breaking(
        "19",
        "a worker takes whatever waits in its lanes into its memory",
        f"{_RABBIT}/consumer.py",
        "prefetch_count=PREFETCH_LARGE if lane == lanes.LARGE else self._prefetch)",
        "prefetch_count=0)",
        _GUARDS,
    ),
    breaking(
        "65",
        "the deposits of a patient are spread over the lanes",
        "gateway/queue/lanes.py",
        "DEPOSITS[partition(deposit.submission)]",
        "DEPOSITS[sum(deposit.reception.receipt.encode()) % PARTITIONS]",
        "tests/unit/queue/test_lanes.py",
    ),
    breaking(
        "66",
        "a key goes once some lane has passed its day",
        "gateway/queue/markers.py",
        "return min(passed[lane] for lane in lanes) if lanes and all(lane in passed for lane in lanes) else None",
        "return max(passed.values(), default=None)",
        "tests/unit/queue/test_markers.py",
    ),
    breaking(
        "67",
        "a marker is taken for passed before what stood in front of it is settled at the broker",
        f"{_RABBIT}/queue.py",
        "if not ready or not consumer.flush(_FLUSH_SECONDS):",
        "if not ready:",
        "tests/unit/queue/test_midnights.py",
    ),
    breaking(
        "68",
        "a key goes as soon as the last lane has passed its day, without a rest",
        "gateway/queue/markers.py",
        "for row in rows if row.passed_at + REST <= now}",
        "for row in rows if row.passed_at <= now}",
        "tests/unit/queue/test_markers.py",
    ),
)
