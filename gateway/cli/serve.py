"""`dmp-gateway serve`: the gateway, until it is asked to stop."""

import asyncio
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from gateway.adapters.tls import TlsUnusable
from gateway.cli import console
from gateway.cli.configuration import read_configuration
from gateway.cli.data_option import config_option, data_option, json_option
from gateway.cli.signals import on_hangup, on_stop
from gateway.config.addresses import join_address
from gateway.config.load import Loaded
from gateway.config.settings import Settings
from gateway.config.transport import is_exposed
from gateway.model.ports import FileUnusable
from gateway.queue.errors import KeysUnusable, LayoutNewer
from gateway.store.port import StoreUnusable
from gateway.store.sqlite.connection import NewerSchema
from gateway.telemetry import log
from gateway.wiring.broker import amqp_url
from gateway.wiring.clock import SystemClock
from gateway.wiring.data import DataDirectory, Owned
from gateway.wiring.database import database_url
from gateway.wiring.gateway import Gateway
from gateway.wiring.ready import Ready
from gateway.wiring.service_manager import ServiceManager
from gateway.wiring.supervisor import NotStarted, Supervisor


@click.command()
@config_option("The configuration, a TOML file; without one the sample configuration runs, as test, on loopback.")
@data_option
@click.option("--mllp-host", metavar="ADDRESS", help="Address of the MLLP door (overrides the file).")
@click.option(
    "--mllp-port", type=click.IntRange(0, 65535), help="Port of the MLLP door; 0 takes a free one (overrides the file)."
)
@click.option("--http-host", metavar="ADDRESS", help="Address of the HTTP door (overrides the file).")
@click.option(
    "--http-port", type=click.IntRange(0, 65535), help="Port of the HTTP door; 0 takes a free one (overrides the file)."
)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="Least level that is logged.")
@json_option
def serve(
    *,
    config: Path | None,
    data: Path,
    mllp_host: str | None,
    mllp_port: int | None,
    http_host: str | None,
    http_port: int | None,
    log_level: str | None,
    as_json: bool,
) -> None:
    """
    Run the gateway: doors, queue, worker and record store in one process, on files in one directory.

    With AMQP_URL and DATABASE_URL: doors and workers as processes of their own over that broker and that database, as many as
    [processes] says, each started again when it dies. AMQP_URL_FILE and DATABASE_URL_FILE name a file that holds the URL instead.

    Under systemd (Type=notify) it says when it is ready, that it lives, and that it stops: samples/systemd.

    Prints where it listens on standard output and logs to standard error. SIGTERM or Ctrl-C drains and stops, exit status 0: what
    was answered AA is in the record, or waits in the queue and is applied at the next start. SIGHUP looks at the files of [tls].

    \b
    Examples:
      dmp-gateway serve                                  try it: 127.0.0.1:2575, http://127.0.0.1:8080, ./dmp-data
      dmp-gateway serve --config /etc/dmp-gateway.toml --data /var/lib/dmp-gateway
    """  # noqa: D301 - click reads this mark
    flags = {
        "mllp.host": mllp_host,
        "mllp.port": mllp_port,
        "http.host": http_host,
        "http.port": http_port,
        "log.level": log_level,
    }
    loaded = read_configuration(config, {name: value for name, value in flags.items() if value is not None})
    log.configure(loaded.settings.log.level.value, loaded.settings.log.format.value)
    # A core file would hold whatever was being read, and the keys (D-7).
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    directory, manager = DataDirectory(data), ServiceManager.of()
    gateway = _gateway(loaded, config, directory)

    def say_ready(ready: Ready) -> None:
        manager.ready(f"MLLP {ready.mllp_host}:{ready.mllp_port}, {ready.environment}")
        if as_json:
            console.json_line(ready)
            return
        _show(ready, loaded)

    try:
        asyncio.run(_until_asked(gateway, manager, say_ready))
    except Owned as owned:
        console.fail(f"{directory.path}: {owned}.", "Stop that one, or give this one another --data.")
    except TlsUnusable as failure:
        console.fail(
            f"[tls] cannot be used: {failure}.", "`dmp-gateway doctor` tells more; docs/trust.md shows how to make them."
        )
    except (KeysUnusable, NewerSchema, LayoutNewer, StoreUnusable, NotStarted) as failure:
        console.fail(str(failure), "Nothing was changed.")
    except (OSError, FileUnusable) as failure:
        console.fail(
            f"The gateway cannot start: {failure}.",
            "Is the port taken? --mllp-port, --http-port and metrics.listen name another. Is the directory not writable? "
            "`dmp-gateway doctor` tells.",
        )


def _listening(settings: Settings, ready: Ready) -> Iterator[str]:
    """Yield a line for each port of a door."""
    ports = (
        ("MLLP", ready.mllp_host, ready.mllp_port, _plain(settings, "mllp")),
        ("MLLP", ready.mllp_tls_host, ready.mllp_tls_port, "TLS, by client certificate"),
        ("HTTP", ready.http_host, ready.http_port, _plain(settings, "http")),
        ("HTTP", ready.http_tls_host, ready.http_tls_port, "TLS"),
    )
    for door, host, port, how in ports:
        if host is not None and port is not None:
            yield f"  {door}  {join_address(host, port)}  ({how})"


def _plain(settings: Settings, door: str) -> str:
    return f"plain text, {'EXPOSED' if is_exposed(settings, door) else 'loopback'}"


def _show(ready: Ready, loaded: Loaded) -> None:
    """Say where it listens, for people."""
    kind = "the sample configuration, for trying out" if ready.sample else str(loaded.path)
    console.out.print(f"dmp-gateway  {ready.environment}, {kind}")
    for line in _listening(loaded.settings, ready):
        console.out.print(line)
    console.out.print(f"  data  {ready.data}")
    if ready.metrics is not None:
        console.out.print(f"  page  {ready.metrics}, beside it /healthz and /readyz")
    if ready.sample:
        console.out.print("  try   dmp-gateway send --example mdm   then   dmp-gateway deposits list")
    console.out.file.flush()


def _gateway(loaded: Loaded, config: Path | None, directory: DataDirectory) -> Gateway | Supervisor:
    """Return one process on files, or, with a broker, what starts and watches several."""
    if amqp_url() is None:
        return Gateway(loaded, directory, SystemClock(), console.err.print)
    if database_url() is None:
        console.usage("AMQP_URL names a broker, no DATABASE_URL a database.", "Several processes need both, or neither.")
    return Supervisor(loaded, config, directory)


async def _until_asked(gateway: Gateway | Supervisor, manager: ServiceManager, ready: Callable[[Ready], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask_to_stop() -> None:
        loop.call_soon_threadsafe(stop.set)
        manager.stopping()

    on_hangup(loop, gateway.reload)
    on_stop(ask_to_stop, supervised=False)
    watching = asyncio.create_task(manager.watch(gateway.pulse))
    try:
        await gateway.run(ready, stop)
    finally:
        watching.cancel()
