"""A process to be killed: publishes six, takes and settles three, takes three, and says what it was told."""

import asyncio
import sys
from pathlib import Path

from tests.contract.queue.backends import BACKENDS
from tests.strategies.submissions import deposit, outcome


def main(kind: str, folder: Path) -> None:
    queue = BACKENDS[kind](folder).open()

    async def publish() -> None:
        for number in range(1, 7):
            await queue.publish(deposit(number))
            print(f"confirmed:{number}", flush=True)

    asyncio.run(publish())
    batch = queue.take(3, 1 << 30, 0.0)
    for delivery in batch:
        print(f"settling:{int(delivery.receipt[-6:])}", flush=True)
    queue.settle([(delivery, outcome(delivery.deposit)) for delivery in batch])
    for delivery in batch:
        print(f"settled:{int(delivery.receipt[-6:])}", flush=True)
    queue.take(3, 1 << 30, 0.0)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
