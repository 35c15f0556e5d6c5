"""The unit files of `samples/systemd/`: what they start can be started, they are closed, and systemd takes them."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import click
import pytest

from gateway.cli.main import main as program
from gateway.wiring import supervisor, working
from gateway.wiring.gateway import DRAIN_SECONDS

FOLDER = Path(__file__).resolve().parents[2] / "samples" / "systemd"
SERVICES = ("dmp-gateway.service", "dmp-gateway-mllp@.service", "dmp-gateway-http@.service", "dmp-gateway-worker@.service")
#: What a process that reads foreign documents does not need.
CLOSED = {
    "StateDirectory": "dmp-gateway",
    "StateDirectoryMode": "0700",
    "UMask": "0077",
    "LimitCORE": "0",
    "User": "dmp-gateway",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectKernelModules": "yes",
    "ProtectControlGroups": "yes",
    "RestrictNamespaces": "yes",
    "RestrictSUIDSGID": "yes",
    "MemoryDenyWriteExecute": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "SystemCallArchitectures": "native",
    "Type": "notify",
    "NotifyAccess": "main",
    "KillMode": "mixed",
    "Restart": "on-failure",
    "RestartPreventExitStatus": "2",
}
#: How far open systemd itself finds a unit, in tenths; 100 is the worst.
EXPOSED = 16


def read(name: str) -> dict[str, dict[str, list[str]]]:
    """Section → directive → values; whatever is neither is an error."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if section := re.fullmatch(r"\[(\w+)\]", line):
            found[section[1]] = defaultdict(list)
            continue
        directive = re.fullmatch(r"(\w+)=(.*)", line)
        assert directive, line
        list(found.values())[-1][directive[1]].append(directive[2])
    return found


def test_the_folder_holds_three_services_and_a_target() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted([*SERVICES, "dmp-gateway.target"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_as_closed_as_it_can_be_and_says_each_thing_once(name: str) -> None:
    service = read(name)["Service"]
    assert {directive: service[directive] for directive in CLOSED} == {key: [value] for key, value in CLOSED.items()}
    assert service["SystemCallFilter"] == ["@system-service", "~@privileged"]
    several = {directive for directive, values in service.items() if len(values) > 1}
    assert several <= {"Environment", "LoadCredential", "SystemCallFilter"}


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_starts_is_a_verb_with_its_options(name: str) -> None:
    (line,) = read(name)["Service"]["ExecStart"]
    path, *words = line.replace("%i", "1").replace("${WORKERS}", "2").split()
    assert path == "/opt/dmp-gateway/bin/dmp-gateway"
    context = click.Context(program)
    command = program.get_command(context, words[0])
    assert command is not None
    command.make_context(words[0], words[1:])


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_that_the_gateway_needs_time_for_is_cut_short(name: str) -> None:
    service = read(name)["Service"]
    stop, start, sign = (int(service[each][0]) for each in ("TimeoutStopSec", "TimeoutStartSec", "WatchdogSec"))
    # One after the other: doors or what is at midnight, worker, upkeep, and what stands between; or doors, then workers.
    assert stop > max(4 * DRAIN_SECONDS, 2 * supervisor._STOP_SECONDS)
    assert start > 2 * supervisor._START_SECONDS
    # A main thread that hangs is seen by us before it is seen by the manager.
    assert sign > working._HANGS_SECONDS


def test_the_status_of_a_worker_that_gave_back_starts_it_again() -> None:
    for name in ("dmp-gateway.service", "dmp-gateway-worker@.service"):
        assert read(name)["Service"]["RestartForceExitStatus"] == [str(working.GAVE_BACK)]


def test_no_unit_gives_up_starting() -> None:
    assert {read(name)["Unit"]["StartLimitIntervalSec"][0] for name in SERVICES} == {"0"}


def test_a_door_gets_no_database_and_nobody_gets_a_password_by_a_variable() -> None:
    door, worker = read(SERVICES[1])["Service"], read(SERVICES[2])["Service"]
    assert door["LoadCredential"] == ["amqp_url:/etc/dmp-gateway/amqp_url"]
    assert worker["LoadCredential"] == [*door["LoadCredential"], "database_url:/etc/dmp-gateway/database_url"]
    assert [each for each in worker["Environment"] if "URL" in each] == [
        "AMQP_URL_FILE=%d/amqp_url",
        "DATABASE_URL_FILE=%d/database_url",
    ]
    for name in SERVICES:
        assert "://" not in (FOLDER / name).read_text(encoding="utf-8")


def test_doors_and_workers_go_with_the_target_and_never_beside_serve() -> None:
    for name in SERVICES[1:]:
        unit = read(name)
        assert unit["Unit"]["PartOf"] == unit["Install"]["WantedBy"] == ["dmp-gateway.target"]
        assert unit["Unit"]["Conflicts"] == ["dmp-gateway.service"]


def _version() -> int:
    if shutil.which("systemd-analyze") is None:
        return 0
    told = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True).stdout
    return int(told.split()[1].partition(".")[0])


@pytest.fixture
def analyze(tmp_path: Path) -> Path:
    """A folder with the units, and a program for them to start."""
    if _version() < 250:
        pytest.skip(
            "no systemd-analyze: install systemd 250 or later (Debian: apt-get install systemd); nothing is started by it"
        )
    for path in FOLDER.iterdir():
        text = path.read_text(encoding="utf-8").replace("/opt/dmp-gateway/bin/dmp-gateway", "/bin/true")
        # With a broker, too.
        text = re.sub(r"(?m)^#(?=LoadCredential|Environment)", "", text)
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    return tmp_path


def test_systemd_understands_every_line(analyze: Path) -> None:
    names = [*SERVICES, "dmp-gateway.target"]
    command = ["systemd-analyze", "verify", "--man=no", *names]
    done = subprocess.run(command, cwd=analyze, capture_output=True, text=True, check=False)
    # Units of the machine's own may be told of, too.
    assert [line for line in done.stderr.splitlines() if "dmp-gateway" in line] == []
    (analyze / SERVICES[0]).write_text((analyze / SERVICES[0]).read_text() + "\n[Service]\nProtectSytem=strict\n")
    done = subprocess.run(command, cwd=analyze, capture_output=True, text=True, check=False)
    assert "'ProtectSytem'" in done.stderr, "it says nothing of what it does not understand"


@pytest.mark.parametrize("name", SERVICES)
def test_systemd_finds_a_service_well_closed(name: str, analyze: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", f"--threshold={EXPOSED}", name]
    done = subprocess.run(command, cwd=analyze, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:]
