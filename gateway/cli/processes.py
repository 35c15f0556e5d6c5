"""`dmp-gateway mllp`, `dmp-gateway http` and `dmp-gateway worker`: the processes of a gateway on a broker, each alone (D-12)."""

import asyncio
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click

from gateway.adapters.tls import TlsUnusable
from gateway.cli import console
from gateway.cli.configuration import read_configuration
from gateway.cli.data_option import config_option, data_option, json_option
from gateway.cli.signals import on_hangup, on_stop
from gateway.config.load import Loaded
from gateway.queue.errors import KeysUnusable
from gateway.queue.rabbitmq.consumer import Share
from gateway.queue.rabbitmq.setup import BrokerUnusable
from gateway.store.port import StoreUnusable
from gateway.telemetry import log
from gateway.wiring.broker import amqp_url
from gateway.wiring.clock import SystemClock
from gateway.wiring.data import DataDirectory
from gateway.wiring.database import database_url
from gateway.wiring.doors import Doors
from gateway.wiring.outlet import Outlet
from gateway.wiring.ready import Ready
from gateway.wiring.service_manager import ServiceManager
from gateway.wiring.working import WorkerProcess, Working

_CONFIG = "The configuration, a TOML file; without one the sample configuration runs, as test, on loopback."
_supervised = click.option("--supervised", is_flag=True, hidden=True, help="Stop when standard input ends.")
_tell = click.option("--tell", type=click.IntRange(3), hidden=True, help="Descriptor of a socket: asked there, say how it is.")


@click.command()
@config_option(_CONFIG)
@data_option
@click.option("--mllp-host", metavar="ADDRESS", help="Address to listen on (overrides the file).")
@click.option("--mllp-port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one (overrides the file).")
@click.option("--mllp-tls-listen", metavar="ADDRESS:PORT", help="Where it listens with TLS; off: nowhere (overrides the file).")
@click.option("--share-port", is_flag=True, help="Let others listen on the same port: the system shares connections out.")
@_supervised
@_tell
@json_option
def mllp(
    *,
    config: Path | None,
    data: Path,
    mllp_host: str | None,
    mllp_port: int | None,
    mllp_tls_listen: str | None,
    share_port: bool,
    supervised: bool,
    tell: int | None,
    as_json: bool,
) -> None:
    """
    Run the MLLP door alone, over the broker that AMQP_URL names: it reads, publishes and answers, and has no store.

    `dmp-gateway serve` runs as many of these and of workers as the configuration says, and starts again what dies.
    """
    broker = _broker()
    loaded = _begun(config, {"mllp.host": mllp_host, "mllp.port": mllp_port, "mllp.tls_listen": mllp_tls_listen})
    outlet = Outlet.of(loaded, supervised=supervised, told=tell)
    doors = Doors(loaded, DataDirectory(data), broker, SystemClock(), reuse_port=share_port, outlet=outlet)
    _serve(doors, "MLLP", lambda ready: f"{ready.mllp_host}:{ready.mllp_port}", supervised=supervised, as_json=as_json)


@click.command()
@config_option(_CONFIG)
@data_option
@click.option("--http-host", metavar="ADDRESS", help="Address to listen on (overrides the file).")
@click.option("--http-port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one (overrides the file).")
@click.option("--http-tls-listen", metavar="ADDRESS:PORT", help="Where it listens with TLS; off: nowhere (overrides the file).")
@click.option("--share-port", is_flag=True, help="Let others listen on the same port: the system shares connections out.")
@_supervised
@_tell
@json_option
def http(
    *,
    config: Path | None,
    data: Path,
    http_host: str | None,
    http_port: int | None,
    http_tls_listen: str | None,
    share_port: bool,
    supervised: bool,
    tell: int | None,
    as_json: bool,
) -> None:
    """
    Run the HTTP door alone, over the broker that AMQP_URL names: HL7v2, CDA and FHIR in, answers out; it has no store.

    What became of a deposit (GET /deposits) it reads in the database that DATABASE_URL names. `dmp-gateway serve` runs as many of
    these as `processes.http` says, and starts again what dies.
    """
    broker = _broker()
    if database_url() is None:
        console.usage("The HTTP door tells what became of deposits, and there is no database.", "Set DATABASE_URL.")
    loaded = _begun(config, {"http.host": http_host, "http.port": http_port, "http.tls_listen": http_tls_listen})
    outlet = Outlet.of(loaded, supervised=supervised, told=tell)
    doors = Doors(loaded, DataDirectory(data), broker, SystemClock(), reuse_port=share_port, role="http", outlet=outlet)
    _serve(doors, "HTTP", lambda ready: f"{ready.http_host}:{ready.http_port}", supervised=supervised, as_json=as_json)


def _serve(doors: Doors, name: str, where: Callable[[Ready], str], *, supervised: bool, as_json: bool) -> None:
    """Run a door until it is asked to stop."""
    manager = ServiceManager.of()

    def say_ready(ready: Ready) -> None:
        manager.ready(f"{name} {where(ready)}, {ready.environment}")
        _say(ready, f"{name} door on {where(ready)}", as_json=as_json)

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def ask_to_stop() -> None:
            loop.call_soon_threadsafe(stop.set)
            manager.stopping()

        on_stop(ask_to_stop, supervised=supervised)
        on_hangup(loop, doors.reload)
        watching = asyncio.create_task(manager.watch(doors.pulse))
        try:
            await doors.run(say_ready, stop)
        finally:
            watching.cancel()

    try:
        asyncio.run(run())
    except TlsUnusable as failure:
        console.fail(f"[tls] cannot be used: {failure}.", "docs/trust.md shows how the files are made.")
    except (KeysUnusable, BrokerUnusable) as failure:
        console.fail(str(failure), "Nothing was changed.")
    except OSError as failure:
        console.fail(f"The door cannot open: {failure.strerror or failure}.", "Is the port taken? `dmp-gateway doctor` tells.")


@click.command()
@config_option(_CONFIG)
@data_option
@click.option("--number", type=click.IntRange(1), default=1, show_default=True, help="Which worker of them this is, from 1.")
@click.option("--of", "count", type=click.IntRange(1), default=1, show_default=True, help="How many workers there are.")
@_supervised
@_tell
@json_option
def worker(
    *, config: Path | None, data: Path, number: int, count: int, supervised: bool, tell: int | None, as_json: bool
) -> None:
    """
    Run one worker alone: it takes from the broker that AMQP_URL names and writes the database that DATABASE_URL names.

    Worker k of M takes its share of the lanes at once and stands by for the others.
    """
    broker = _broker()
    if database_url() is None:
        console.usage("A worker needs a database of its own kind.", "Set DATABASE_URL: a file has one owner.")
    if number > count:
        console.usage(f"There is no worker {number} of {count}.", "--number goes from 1 to --of.")
    loaded = _begun(config, {})
    stop, manager = threading.Event(), ServiceManager.of()

    def ask_to_stop() -> None:
        stop.set()
        manager.stopping()

    on_stop(ask_to_stop, supervised=supervised)
    outlet = Outlet.of(loaded, supervised=supervised, told=tell)
    process = WorkerProcess(loaded, DataDirectory(data), broker, SystemClock(), Share(number=number - 1, of=count), outlet=outlet)

    def say_ready(working: Working) -> None:
        words = f"worker {working.worker} of {working.of}"
        manager.ready(words)
        _say(working, words, as_json=as_json)

    try:
        with manager.watching(process.pulse):
            process.run(say_ready, stop)
    except (KeysUnusable, BrokerUnusable, StoreUnusable) as failure:
        console.fail(str(failure), "Nothing was changed.")


def _broker() -> str:
    broker = amqp_url()
    if broker is None:
        _no_broker()
    return broker


def _no_broker() -> NoReturn:
    console.usage("There is no broker.", "Set AMQP_URL=amqp://user:password@host:5672/%2F, or run `dmp-gateway serve`.")


def _begun(config: Path | None, flags: dict[str, object]) -> Loaded:
    loaded = read_configuration(config, {name: value for name, value in flags.items() if value is not None})
    log.configure(loaded.settings.log.level.value, loaded.settings.log.format.value)
    # A core file would hold whatever was being read, and the keys (D-7).
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return loaded


def _say(ready: object, words: str, *, as_json: bool) -> None:
    if as_json:
        console.json_line(ready)
    else:
        console.out.print(f"dmp-gateway  {words}")
    sys.stdout.flush()
