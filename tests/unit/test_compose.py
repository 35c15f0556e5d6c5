"""`compose.yaml` and `Dockerfile`: read whole, held against the program; no engine runs them here (docs/broker.md says so)."""

import re
import shutil
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
import pytest

from gateway.cli.main import main as program
from gateway.config.settings import SETTINGS
from gateway.wiring import supervisor
from tests.harness.yaml_subset import read

ROOT = Path(__file__).resolve().parents[2]
IMAGE = re.compile(r"[a-z-]+(?::[\w.-]+)?")
OURS = ("keys", "migrate", "setup", "gateway")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return read((ROOT / "compose.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def dockerfile() -> list[str]:
    """Its instructions, each in one line."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [" ".join(line.split()) for line in text.splitlines() if line and not line.startswith("#")]


def parsed(words: list[str]) -> None:
    """Whether a verb takes these words; raises what click says."""
    words = list(words)
    command = program.get_command(click.Context(program), words[0])
    while isinstance(command, click.Group):
        command, words = command.commands[words[1]], words[1:]
    assert command is not None, words
    command.make_context(words[0], words[1:])


def test_everything_that_is_named_is_defined(compose: dict[str, Any]) -> None:
    assert list(compose) == ["name", "services", "secrets", "volumes"]
    services = compose["services"]
    assert list(services) == ["broker", "database", *OURS]
    secrets, volumes = set(), set()
    for service in services.values():
        secrets |= {each["source"] if isinstance(each, dict) else each for each in service.get("secrets", [])}
        volumes |= {each.partition(":")[0] for each in service.get("volumes", []) if not each.startswith("./")}
        assert set(service.get("depends_on", {})) <= set(services)
    assert secrets == set(compose["secrets"])
    assert volumes == set(compose["volumes"])
    assert all(each["file"].startswith("./secrets/") for each in compose["secrets"].values())
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_images_come_by_their_names_alone(compose: dict[str, Any], dockerfile: list[str]) -> None:
    images = [each["image"] for each in compose["services"].values()]
    images += [line.split()[1] for line in dockerfile if line.startswith("FROM ")]
    assert [image for image in images if not IMAGE.fullmatch(image)] == []
    assert [name for name, each in compose["services"].items() if "build" in each] == ["keys"]


def test_nothing_is_reached_from_another_machine(compose: dict[str, Any]) -> None:
    ports = [port for each in compose["services"].values() for port in each.get("ports", [])]
    assert ports == ["127.0.0.1:5672:5672", "127.0.0.1:15672:15672", "127.0.0.1:5432:5432"]
    # Without TLS the door refuses every address but those of the loopback interface, which is the machine's own here.
    assert compose["services"]["gateway"]["network_mode"] == "host"


def test_no_password_is_written_down(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"URL|PASS", variable):
                assert variable.endswith("_FILE"), f"{name}: {variable}"
                assert value.removeprefix("/run/secrets/") in service["secrets"]
    assert "://" not in (ROOT / "compose.yaml").read_text() + (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("name", OURS)
def test_a_container_of_ours_writes_to_its_volumes_alone_and_gains_no_right(name: str, compose: dict[str, Any]) -> None:
    service = compose["services"][name]
    assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])


def test_keys_have_a_volume_of_their_own(compose: dict[str, Any]) -> None:
    for name in ("keys", "gateway"):
        assert compose["services"][name]["volumes"][-2:] == ["data:/var/lib/dmp-gateway", "keys:/var/lib/dmp-gateway/keys"]


def test_what_runs_once_runs_before_the_gateway(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["gateway"]["depends_on"] == {
        "migrate": {"condition": "service_completed_successfully"},
        "setup": {"condition": "service_completed_successfully"},
    }
    assert services["migrate"]["depends_on"]["database"] == {"condition": "service_healthy"}
    assert services["setup"]["depends_on"]["broker"] == {"condition": "service_healthy"}
    for name in ("migrate", "setup"):
        assert services[name]["depends_on"]["keys"] == {"condition": "service_completed_successfully"}
        assert services[name]["restart"] == services["keys"]["restart"] == "no"


def test_containers_start_verbs_with_settings_that_there_are(compose: dict[str, Any], dockerfile: list[str]) -> None:
    for name in OURS[1:]:
        parsed(compose["services"][name]["command"])
    assert compose["services"]["keys"]["entrypoint"][2].endswith("|| exec dmp-gateway keys init")
    parsed(["keys", "init"])
    parsed(["doctor"])
    assert dockerfile[-1] == 'CMD ["serve"]'
    known = {row.variable for row in SETTINGS} | {"DMP_GATEWAY_CONFIG", "DMP_GATEWAY_DATA"}
    named = {name for each in compose["services"].values() for name in each.get("environment", {}) if name.startswith("DMP_")}
    assert named <= known
    assert int(compose["services"]["gateway"]["stop_grace_period"].removesuffix("s")) > 2 * supervisor._STOP_SECONDS


@pytest.mark.parametrize("held", ["", "receipts.key", "flow-2026-01-01.key"])
def test_keys_are_made_once(held: str, compose: dict[str, Any], tmp_path: Path) -> None:
    """The one line of shell, run: a start that was cut off in the middle of making them goes on."""
    (tmp_path / "keys").mkdir()
    if held:
        (tmp_path / "keys" / held).touch()
    (tmp_path / "dmp-gateway").write_text("#!/bin/sh\necho made $*\n")
    (tmp_path / "dmp-gateway").chmod(0o700)
    command = compose["services"]["keys"]["entrypoint"]
    path = f"{tmp_path}:/usr/bin:/bin"
    done = subprocess.run(command, cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=True)
    assert done.stdout == ("" if held.startswith("flow") else "made keys init\n")


def test_the_image_holds_what_the_lock_file_names_and_runs_as_nobody(dockerfile: list[str]) -> None:
    assert "RUN /opt/dmp-gateway/bin/pip install --require-hashes -r requirements.lock" in dockerfile
    assert [line for line in dockerfile if line.startswith("USER ")] == ["USER 10001:10001"]
    assert next(line for line in dockerfile if line.startswith("HEALTHCHECK ")).endswith('CMD ["dmp-gateway", "doctor"]')
    (folders,) = (line for line in dockerfile if "install -d" in line)
    assert "install -d -m 0700 -o 10001 -g 10001 /var/lib/dmp-gateway /var/lib/dmp-gateway/keys" in folders


def test_what_the_image_is_built_from_is_enough(dockerfile: list[str], tmp_path: Path) -> None:
    """The package is built from a copy of exactly what `Dockerfile` and `.dockerignore` let in."""
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in dockerfile:
        if not line.startswith("COPY ") or "--from" in line:
            continue
        *sources, target = line.split()[1:]
        for source in sources:
            assert any(fnmatch(source, pattern) for pattern in kept), f".dockerignore leaves {source} out"
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, tmp_path / "src" / target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (tmp_path / "src").mkdir(exist_ok=True)
                shutil.copy(ROOT / source, tmp_path / "src" / source)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation", "-w", tmp_path, "."],
        cwd=tmp_path / "src", check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"gateway/cli/main.py", "gateway/_samples/dmp-gateway.toml", "gateway/store/sql/postgres/roles.sql"} <= names
    assert any(name.startswith("gateway/_schemas/") for name in names)


@pytest.mark.parametrize(
    "text",
    [
        "a: no",
        "a: &x b",
        "a: *x",
        "a: {b: 1}",
        "a: b: c",
        "a:\n   b: 1",
        "a: 1\na: 2",
        "- a",
        "a: |",
        "a: b # c",
        "a: 'b'",
        "a: 0700",
        "a: 22:22",
        "a: True",
        "a: b\n  c: d",
    ],
)
def test_what_the_reader_does_not_know_it_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"line|Expecting"):
        read(text)


def test_the_reader_reads() -> None:
    text = 'a:\n  b: ["x", 1]\n  c:\n    - d: e\n      f: "no"\n    - g:h\n# i\nj:\nk: 10s\nl: 0\n'
    assert read(text) == {"a": {"b": ["x", 1], "c": [{"d": "e", "f": "no"}, "g:h"]}, "j": None, "k": "10s", "l": 0}
