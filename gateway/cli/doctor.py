"""`dmp-gateway doctor`: is everything in place, and if not, what to do."""

import os
import re
import shutil
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from gateway.cli import console, doctor_store, doctor_trust
from gateway.cli.configuration import read_configuration
from gateway.cli.data_option import config_option, data_option, json_option
from gateway.cli.doctor_scopes import unbound
from gateway.cli.findings import Finding
from gateway.config.load import Loaded
from gateway.config.settings import SETTINGS
from gateway.model.ports import FileUnusable
from gateway.store.port import StoreUnusable
from gateway.store.sqlite.health import engine, probe
from gateway.wiring.broker import amqp_url
from gateway.wiring.clock import SystemClock
from gateway.wiring.control import Request, ask
from gateway.wiring.data import DataDirectory, Owned
from gateway.wiring.database import database_url, open_reader

_ANSWERS: Final = re.compile(r'dmpgw_answers_total\{answer="([A-Z]{2})"')
_CONNECT_SECONDS: Final = 2.0
#: A hospital's day of reports with their images, and room to recover.
_FREE_BYTES: Final = 1024 * 1024 * 1024


@click.command()
@config_option("The configuration that `serve` gets.")
@data_option
@click.option("--settings", "with_settings", is_flag=True, help="Also list every setting, its value and where it comes from.")
@json_option
def doctor(*, config: Path | None, data: Path, with_settings: bool, as_json: bool) -> None:
    """
    Check configuration, data directory, keys, record store, queue, broker and door; change nothing.

    Exit status: 0 all well or notes only, 1 a problem, 2 usage.
    """
    loaded = read_configuration(config, {})
    directory = DataDirectory(data)
    findings = [
        *_configuration(loaded),
        *_directory(directory),
        *_broker(loaded, directory),
        *_oppositions(loaded, directory),
        *_running(directory, loaded.settings.tls.certificate),
    ]
    if as_json:
        for finding in findings:
            console.json_line(finding)
    else:
        if with_settings:
            _print_settings(loaded)
        signs = {"ok": "ok", "note": "note", "problem": "PROBLEM"}
        console.table(("", "what", "how it is"), [(signs[f.state], f.subject, f.text) for f in findings])
        for finding in findings:
            if finding.advice:
                console.out.print(f"\n{finding.subject}: {finding.advice}")
    if any(finding.state == "problem" for finding in findings):
        raise SystemExit(1)


def _configuration(loaded: Loaded) -> Iterator[Finding]:
    settings = loaded.settings
    sources, connections = len(settings.sources), len(settings.connections)
    yield Finding(
        subject="configuration",
        state="ok",
        text=f"{loaded.path}: {settings.environment.value}, {sources} sources, {connections} connections",
    )
    if loaded.sample:
        yield Finding(
            subject="configuration",
            state="note",
            text="the sample configuration: for trying out",
            advice="give --config FILE; samples/dmp-gateway.toml is a commented example",
        )
    if settings.environment.value == "test":
        yield Finding(
            subject="environment", state="note", text="test: takes test identities (INS roots .10 and .11) and MSH-11 T and D"
        )
    admitted = {name for connection in settings.connections for name in connection.sources}
    for source in settings.sources:
        if source.id not in admitted and not source.tokens:
            yield Finding(
                subject=f"source {source.id}",
                state="note",
                text="no connection admits it and it has no token: everything it sends is refused",
                advice="name it in a [[connections]] table, give it a token (`dmp-gateway sources token`), or remove it",
            )
    yield from doctor_trust.transport(settings, SystemClock())


#: What to do about a damaged file: the queue is in no backup (D-7).
_RESTORE: Final = {
    "record store": "restore it from a backup; keep the damaged file",
    "queue": "keep the damaged file, start without it, and have what came since the last settled deposit sent again",
}


def _directory(directory: DataDirectory) -> Iterator[Finding]:
    if not directory.path.exists():
        made_by = "`serve`" if amqp_url() is None else "`dmp-gateway keys init`"
        yield Finding(subject="data", state="note", text=f"{directory.path} is not there yet: {made_by} makes it")
        if (named := database_url()) is not None:
            yield from doctor_store.database(named)
        return
    free = shutil.disk_usage(directory.path).free
    yield Finding(
        subject="data",
        state="ok" if free >= _FREE_BYTES else "problem",
        text=f"{directory.path}: {free // 1_000_000} MB free",
        advice="" if free >= _FREE_BYTES else "make room: a full disk makes the gateway answer AR",
    )
    if directory.path.stat().st_mode & 0o077:
        yield Finding(subject="data", state="note", text="other users may enter the folder", advice=f"chmod 700 {directory.path}")
    yield from doctor_store.keys(directory)
    url = database_url()
    if url is not None:
        yield from doctor_store.database(url)
    files = (("record store", directory.store), ("queue", directory.queue))
    for name, path in files if url is None else files[1:]:
        if not path.exists():
            if name == "queue" and amqp_url() is not None:
                continue  # what waits lies in the broker
            yield Finding(subject=name, state="note", text=f"{path.name} is not there yet")
            continue
        try:
            yield Finding(subject=name, state="ok", text=probe(path))
        except FileUnusable as failure:
            yield Finding(
                subject=name,
                state="problem",
                text=f"{path.name}: {failure.reason}",
                advice=_RESTORE[name] if failure.damaged else "look at the disk and at the rights of the file and its folder",
            )
    yield doctor_store.answers(directory)
    version, safe = engine()
    yield Finding(
        subject="sqlite",
        state="ok" if safe else "note",
        text=version + ("" if safe else ": a file must have one writing process (older than 3.51.3); the gateway keeps to that"),
    )


def _broker(loaded: Loaded, directory: DataDirectory) -> Iterator[Finding]:
    url = amqp_url()
    if url is not None:
        from gateway.cli.doctor_broker import broker

        queue = loaded.settings.queue
        yield from broker(url, queue.sealed_limit_bytes, directory, queue.management_url)


def _oppositions(loaded: Loaded, directory: DataDirectory) -> Iterator[Finding]:
    try:
        with open_reader(directory) as reader:
            opposed = reader.opposed_scopes()
    except StoreUnusable:
        return  # said by the lines about the store
    for found in unbound(opposed, loaded.settings.directory):
        yield Finding(subject=found.subject, state="note", text=found.text, advice=found.advice)


def _running(directory: DataDirectory, certificate: str) -> Iterator[Finding]:
    try:
        owner = directory.owner()
    except Owned:
        yield Finding(
            subject="gateway",
            state="problem",
            text="a process holds the directory, and gateway.lock, which names it, is gone or empty",
            advice="stop that process and start it again: it names itself anew",
        )
        return
    if owner is None:
        yield Finding(subject="gateway", state="note", text="not running on this data directory", advice="dmp-gateway serve")
        return
    try:
        reply = ask(owner.socket, Request(verb="status"))
        status = msgspec.json.decode(bytes(reply.result))
    except (OSError, msgspec.DecodeError):
        yield Finding(
            subject="gateway",
            state="problem",
            text=f"pid {owner.pid} holds the directory but does not answer",
            advice="its log tells",
        )
        return
    if "processes" in status:
        yield from _processes(owner.pid, status["processes"])
        return
    waiting = sum(lane["waiting"] for lane in status["lanes"])
    yield Finding(
        subject="gateway", state="ok", text=f"running, pid {owner.pid}, {waiting} deposits wait; {_answers(status['metrics'])}"
    )
    if status["queue_problem"]:
        yield Finding(subject="queue", state="problem", text=status["queue_problem"], advice="the log tells since when")
    for door in status["doors"]:
        yield _door(door)
        if door.get("tls_port"):
            yield doctor_trust.served(door["door"], door["tls_host"], door["tls_port"], certificate)
            if door["tls_problem"]:
                yield Finding(subject="tls", state="problem", text=f"the new files are not used: {door['tls_problem']}")


def _processes(pid: int, processes: list[dict[str, Any]]) -> Iterator[Finding]:
    """Tell of the doors and workers of a gateway over a broker; what waits there is `queue status`'s to tell."""
    yield Finding(subject="gateway", state="ok", text=f"running, pid {pid}, {len(processes)} processes over a broker")
    for each in processes:
        again = each["restarts"]
        yield Finding(
            subject=each["role"],
            state="note" if again else "ok",
            text=f"pid {each['pid']}" + (f", was started again {again} time{'s' * (again > 1)}" if again else ""),
            advice="its log tells why it ended (process.ended)" if again else "",
        )


def _answers(metrics: dict[str, float]) -> str:
    """Return how many of each answer were given since the start, from the process's own counters."""
    counts: Counter[str] = Counter()
    for series, value in metrics.items():
        found = _ANSWERS.match(series)
        if found:
            counts[found.group(1)] += int(value)
    return "answers since its start: " + (", ".join(f"{count} {answer}" for answer, count in sorted(counts.items())) or "none")


def _door(door: dict[str, Any]) -> Finding:
    """Connect to a door as a sender would: a machine's firewall may say no where the process says yes."""
    where = f"{door['host']}:{door['port']}"
    try:
        with socket.create_connection((door["host"], door["port"]), timeout=_CONNECT_SECONDS):
            pass
    except OSError as failure:
        return Finding(
            subject=f"door {door['door']}",
            state="problem",
            text=f"{where}: {failure.strerror or type(failure).__name__}",
            advice="the log tells why it does not take connections",
        )
    used = f"{door['connections']} of {door['connection_limit']} connections"
    return Finding(subject=f"door {door['door']}", state="ok", text=f"{where} takes connections, {used} open")


def _print_settings(loaded: Loaded) -> None:
    rows = []
    for row in SETTINGS:
        value: object = loaded.settings
        for part in row.name.split("."):
            value = getattr(value, part)
        origin = loaded.origins[row.name].value
        rows.append(
            (row.name, str(value), origin, row.variable if origin != "default" or row.variable in os.environ else "", row.help)
        )
    console.table(("setting", "value", "from", "variable", "meaning"), rows)
    console.out.print("")
