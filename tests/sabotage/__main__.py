"""
Break the program, one guard at a time, and see a test turn red.

    python -m tests.sabotage [--only 12]

Each sabotage is done to a copy of the tree, and the tests that should notice are run there, up to the first failure. Prints for
each what caught it and how long that took. Exit status 1 if one was not caught, or if the tests fail on the copy as it is.
"""

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.sabotage.sabotage import Rotten, Sabotage
from tests.sabotage.table import SABOTAGES

_ROOT: Final = Path(__file__).resolve().parents[2]
_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", re.MULTILINE)
#: A sabotage that hangs the tests is not caught: a person would have to notice.
_LIMIT_SECONDS: Final = 300
#: The tests of all sabotages together, on the tree as it is.
_WHOLE_SECONDS: Final = 1_200
#: What a median detection may take.
_GOAL_SECONDS: Final = 60
_TESTS_FAILED: Final = 1


@dataclass(frozen=True)
class Caught:
    """How a run of tests ended: the first test that failed, "" if none did."""

    by: str
    seconds: float
    output: str


def copied(into: Path) -> Path:
    """Copy what belongs to the project: what is tracked, and what is new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=_ROOT, check=True, capture_output=True
    ).stdout
    for name in sorted(set(listed.decode().split("\0")) - {""}):
        if (_ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(_ROOT / name, into / name)
    return into


def run_tests(tree: Path, tests: Sequence[str], limit: float = _LIMIT_SECONDS) -> Caught:
    """Run tests in a copy of the tree, up to the first failure."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DMP_CORPUS": os.environ.get("DMP_CORPUS", str(_ROOT.parent / "shared" / "corpus")),
    }
    if not Path(environment["DMP_CORPUS"]).is_dir():
        del environment["DMP_CORPUS"]
    begun = time.monotonic()
    command = (
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:randomly",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
        *tests,
    )
    process = subprocess.Popen(
        command, cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        # The tests and all that they started: a session of their own.
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return Caught("", time.monotonic() - begun, f"no end after {limit:.0f} s\n{output}")
    seconds = time.monotonic() - begun
    failed = _FAILED.search(output)
    if process.returncode == _TESTS_FAILED and failed is not None:
        return Caught(failed.group(1), seconds, output)
    return Caught("", seconds, output if process.returncode == 0 else f"pytest ended with {process.returncode}\n{output}")


def own_code(tree: Path) -> bool:
    """Whether the tests in a copy test the copy."""
    asked = subprocess.run(
        [sys.executable, "-c", "import gateway, tests.sabotage as own; print(gateway.__file__, own.__file__)"],
        cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return all(Path(line).is_relative_to(tree) for line in asked.stdout.split())


def main(arguments: list[str]) -> int:
    """Run the sabotages; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.sabotage", description="Break the program and see a test turn red.")
    parser.add_argument("--only", action="append", help="one of them, by its number; may be given again")
    parser.add_argument("--verbose", action="store_true", help="print the output of tests that caught nothing")
    parser.add_argument("--unproven", action="store_true", help="leave out the run on the tree as it is")
    given = parser.parse_args(arguments)
    chosen = [each for each in SABOTAGES if given.only is None or each.name in given.only]
    if not chosen:
        print(f"no sabotage {given.only}: there are {', '.join(each.name for each in SABOTAGES)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="dmpgw-sabotage-") as folder:
        whole = copied(Path(folder) / "whole")
        if not own_code(whole):
            print("the copy would test the tree: nothing would be shown", file=sys.stderr)
            return 2
        if not given.unproven:
            every = list(dict.fromkeys(test for each in chosen for test in each.tests))
            green = run_tests(whole, every, _WHOLE_SECONDS)
            if green.by or "pytest ended" in green.output or "no end after" in green.output:
                print(green.output[-4000:], file=sys.stderr)
                print("the tests fail on the tree as it is: nothing would be shown", file=sys.stderr)
                return 1
            print(f"the tests pass on the tree as it is ({green.seconds:.0f} s)", flush=True)
        results = [(each, _tried(each, whole, Path(folder), verbose=given.verbose)) for each in chosen]
    caught = [result.seconds for _, result in results if result.by]
    missed = [each for each, result in results if not result.by]
    median = f", half of them within {statistics.median(caught):.0f} s" if caught else ""
    print(f"{len(caught)} of {len(results)} caught{median}")
    for each in missed:
        print(f"NOT CAUGHT {each.name}: {each.what}", file=sys.stderr)
    return 1 if missed or statistics.median(caught) > _GOAL_SECONDS else 0


def _tried(sabotage: Sabotage, whole: Path, folder: Path, *, verbose: bool) -> Caught:
    tree = folder / f"tree-{sabotage.name}"
    shutil.copytree(whole, tree, symlinks=True)
    try:
        sabotage.commit(tree)
        result = run_tests(tree, sabotage.tests)
    except Rotten as rotten:
        result = Caught("", 0.0, str(rotten))
    shutil.rmtree(tree, ignore_errors=True)
    told = f"caught by {result.by}" if result.by else "NOT CAUGHT"
    print(f"{sabotage.name:>4}  {sabotage.what}\n      {told} ({result.seconds:.0f} s)", flush=True)
    if verbose and not result.by:
        print(result.output[-3000:], flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
