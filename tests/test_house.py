"""The house itself: rooms, walls, what is installed, what must never be written down."""

import re
import shutil
import subprocess
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

MAX_LINES = 400

#: One table each, read by looking up a row: cutting it would hide the neighbours.
TABLES = {"gateway/model/problems.py"}

#: Written in pieces, or this file would be the first to be found.
REGISTRY_HOSTS = (
    "py" + "pi.org",
    "python" + "hosted.org",
    "np" + "mjs.org",
    "npm" + "js.com",
    "deb.deb" + "ian.org",
    "crates" + ".io",
    "proxy.go" + "lang.org",
    "repo1.ma" + "ven.org",
    "conda" + ".anaconda.org",
)
FORBIDDEN = {
    "a package registry's host": re.compile("|".join(map(re.escape, REGISTRY_HOSTS)), re.IGNORECASE),
    "a path of one machine": re.compile(r"(?<![\w.])/(?:wo" + r"rk|root|home/\w+)/\w"),
    "a forgotten mark": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X:)"),
}


@pytest.fixture(scope="module")
def pyproject(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def contracts(pyproject: dict[str, Any]) -> list[dict[str, Any]]:
    return pyproject["tool"]["importlinter"]["contracts"]


@pytest.fixture(scope="module")
def tracked(root: Path) -> list[Path]:
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        pytest.skip("not a git work tree (an unpacked archive?): run in a clone")
    listed = subprocess.run([git, "ls-files", "-z"], cwd=root, check=True, capture_output=True).stdout
    return [root / name for name in listed.decode().split("\0") if name and (root / name).is_file()]


def rooms(contracts: list[dict[str, Any]]) -> tuple[set[str], set[str]]:
    """Rooms that must exist, and rooms that may."""
    (floors,) = (contract for contract in contracts if contract["type"] == "layers")
    named = [room.strip() for layer in floors["layers"] for room in layer.split("|")]
    optional = {room.strip("()") for room in named if room.startswith("(")}
    return set(named) - {f"({room})" for room in optional}, optional


def exists(package: Path, room: str) -> bool:
    return (package / room / "__init__.py").is_file() or (package / f"{room}.py").is_file()


def test_every_room_of_the_plan_is_built(root: Path, contracts: list[dict[str, Any]]) -> None:
    required, _ = rooms(contracts)
    assert required, "no rooms in the plan"
    missing = {room for room in required if not exists(root / "gateway", room)}
    assert not missing


def test_every_room_built_is_in_the_plan(root: Path, contracts: list[dict[str, Any]]) -> None:
    required, optional = rooms(contracts)
    built = {path.stem for path in (root / "gateway").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert built - {"__init__", "__main__"} <= required | optional


def test_every_package_says_what_it_is_for(root: Path) -> None:
    packages = list((root / "gateway").rglob("__init__.py"))
    assert packages
    silent = [path for path in packages if not path.read_text(encoding="utf-8").startswith('"""')]
    assert not silent


def test_a_wall_stands_around_rooms_that_exist(root: Path, contracts: list[dict[str, Any]]) -> None:
    walls = [contract for contract in contracts if contract["type"] == "forbidden"]
    assert walls
    for wall in walls:
        for module in wall["source_modules"]:
            package, *path = module.split(".")
            assert package == "gateway", wall["id"]
            assert not path or exists(root / "gateway", "/".join(path)), f"{wall['id']}: {module}"


def test_modules_stay_small(root: Path) -> None:
    lengths = {
        str(path.relative_to(root)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (root / "gateway").rglob("*.py")
    }
    assert lengths
    assert {name: length for name, length in lengths.items() if length > MAX_LINES and name not in TABLES} == {}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_tracked_holds(what: str, tracked: list[Path], root: Path) -> None:
    assert tracked, "git lists no file"
    found = []
    for path in tracked:
        data = path.read_bytes()
        if b"\0" in data:
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
            if FORBIDDEN[what].search(line):
                found.append(f"{path.relative_to(root)}:{number}")
    assert not found, f"{what} in {', '.join(found)}"


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a package registry's host", "--index-url https://" + REGISTRY_HOSTS[0] + "/simple"),
        ("a path of one machine", "see /wo" + "rk/main/README.md"),
        ("a forgotten mark", "# TO" + "DO later"),
    ],
)
def test_the_search_finds_what_it_looks_for(what: str, line: str) -> None:
    assert FORBIDDEN[what].search(line)


def test_the_console_script_resolves(pyproject: dict[str, Any]) -> None:
    (script,) = entry_points(group="console_scripts", name="dmp-gateway")
    assert script.value == pyproject["project"]["scripts"]["dmp-gateway"]
    assert callable(script.load())


def locked(path: Path) -> dict[str, str]:
    """Name → the whole entry of a lock file."""
    entries = re.split(r"(?m)^(?=[a-z0-9])", path.read_text(encoding="utf-8"))
    return {re.split(r"[=\s]", entry, maxsplit=1)[0]: entry for entry in entries if entry[:1].isalnum()}


def names(requirements: list[str]) -> set[str]:
    return {re.sub(r"[-_.]+", "-", re.split(r"[\s<>=!~;\[]", each, maxsplit=1)[0]).lower() for each in requirements}


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock", "requirements-scan.lock"])
def test_what_is_installed_is_pinned_with_hashes(root: Path, lock: str) -> None:
    entries = locked(root / lock)
    assert entries
    assert "://" not in (root / lock).read_text(encoding="utf-8")
    assert [name for name, entry in entries.items() if "--hash=sha256:" not in entry or "==" not in entry] == []


def test_the_lock_files_hold_what_is_declared(root: Path, pyproject: dict[str, Any]) -> None:
    runtime = names([*pyproject["project"]["dependencies"], *pyproject["build-system"]["requires"]])
    extras = pyproject["project"]["optional-dependencies"]
    assert runtime <= locked(root / "requirements.lock").keys()
    assert runtime | names(extras["test"] + extras["lint"]) <= locked(root / "requirements-dev.lock").keys()


def test_both_lock_files_agree(root: Path) -> None:
    runtime, dev = locked(root / "requirements.lock"), locked(root / "requirements-dev.lock")
    pin = re.compile(r"==(\S+)")
    assert {n: pin.findall(e)[0] for n, e in runtime.items()} == {n: pin.findall(dev[n])[0] for n in runtime}


def test_every_target_of_make_explains_itself(root: Path) -> None:
    text = (root / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"(?m)^\.PHONY: (.+)$", text)
    explained = set(re.findall(r"(?m)^([a-z-]+):.*## \w", text))
    assert set(phony.split()) == explained
