"""What a process does when it is told to stop, or to look at its files again."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable


def on_stop(stop: Callable[[], object], *, supervised: bool) -> None:
    """
    Call `stop` at the first signal to end; the second one ends the process at once.

    Args:
        stop: Called on the main thread, or on one that watches standard input.
        supervised: Standard input is held by the supervisor: its end is a signal too.
    """
    asked = False

    def ask(*_: object) -> None:
        nonlocal asked
        if asked:
            os._exit(1)
        asked = True
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    if supervised:

        def watch() -> None:
            # Not through `sys.stdin`: its lock would be held when the process ends.
            while os.read(0, 1024):
                pass
            stop()

        threading.Thread(target=watch, name="supervisor", daemon=True).start()


def on_hangup(loop: asyncio.AbstractEventLoop, reload: Callable[[], object]) -> None:
    """
    Call `reload` on the loop at each SIGHUP.

    The loop learns of signals by bytes in a pipe, which a flood of connections can fill: a byte that finds no room is lost, and
    the signal with it. Hence what stops a process is no handler of the loop's (`on_stop`); the pipe still wakes it.
    """
    loop.add_signal_handler(signal.SIGHUP, reload)
    signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)
