"""
One reader under coverage-guided inputs, as a process of its own: `python -m tests.fuzz.drive READER --keep FOLDER --seconds 60`.

Every branch of the gateway's own code is counted; an input that reaches a new one is kept as a seed of the next. What fails is
written to the folder, once for each place that it fails at, and the campaign goes on; only what ends the process ends it (a
native crash, a hang, the memory ceiling), and its input is there as well.
"""

import argparse
import hashlib
import json
import os
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Final

import atheris

from tests.fuzz.wounds import TOKENS, wounded

with atheris.instrument_imports(include=["gateway", "tests.fuzz.faulty"]):
    from tests.fuzz import faulty
    from tests.fuzz.readers import Reader, Readers

#: More than this of the processor's time for one input is a finding; past the second limit the process is ended.
SLOW_SECONDS: Final = 1.0
HANG_SECONDS: Final = 20
MEMORY_MB: Final = 1024

#: The instrument's own test: `tests/fuzz/test_guided.py`.
FAULTY: Final = Reader([b"\0"], faulty.read, 16)


class Watch:
    """Reads inputs, and keeps those that fail."""

    def __init__(self, reader: Reader, keep: Path, *, first: bool = False) -> None:
        self.first = first
        self.reader = reader
        self.keep = keep
        self.seen: set[str] = set()

    def __call__(self, data: bytes) -> None:
        """Read one input."""
        before = time.thread_time()
        try:
            self.reader.read(data)
        except Exception as failure:  # noqa: BLE001 - whatever is not the reader's own error is what is looked for
            frame = traceback.extract_tb(failure.__traceback__)[-1]
            self._note(f"{type(failure).__name__}-{Path(frame.filename).name}-{frame.lineno}", data, traceback.format_exc())
        spent = time.thread_time() - before
        if spent > SLOW_SECONDS:
            self._note("slow", data, f"{spent:.1f} s")

    def _note(self, kind: str, data: bytes, told: str) -> None:
        if kind in self.seen:
            return
        self.seen.add(kind)
        name = f"{kind}-{hashlib.sha256(data).hexdigest()[:12]}"
        (self.keep / f"{name}.bin").write_bytes(data)
        (self.keep / f"{name}.txt").write_text(told, encoding="utf-8")
        print(f"FOUND {name}", file=sys.stderr, flush=True)
        if self.first:
            os._exit(0)


def main(arguments: list[str]) -> None:
    """Run one campaign; ends the process."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.drive")
    parser.add_argument("reader")
    parser.add_argument("--keep", type=Path, required=True, help="takes the inputs that fail")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="folder of seeds that grows; none: a folder of the run")
    parser.add_argument("--first", action="store_true", help="end at the first that fails")
    given = parser.parse_args(arguments)
    reader = _reader(given.reader)
    given.keep.mkdir(parents=True, exist_ok=True)
    # The library ends the process by itself: whoever started it removes its temporary folder (`tests.fuzz.campaign`).
    folder = Path(tempfile.mkdtemp(prefix="dmp-fuzz-"))
    corpus = given.corpus or folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(reader.seeds):
        if len(data) <= reader.most_bytes:
            (corpus / f"sample-{number}").write_bytes(data)
    words = folder / "words"
    words.write_text("".join(f'"{_word(token)}"\n' for token in TOKENS), encoding="ascii")

    def changed(data: bytes, most: int, seed: int) -> bytes:
        """Half of the inputs by the library, half with the wounds that messages get."""
        chance = random.Random(seed)
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return wounded(data, chance, reader.seeds)[:most]

    options = [
        f"-max_total_time={given.seconds}",
        f"-seed={given.seed}",
        f"-max_len={reader.most_bytes}",
        f"-timeout={HANG_SECONDS}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-artifact_prefix={given.keep}/ended-",
        f"-dict={words}",
        "-print_final_stats=1",
        str(corpus),
    ]
    wounds = {"custom_mutator": changed} if reader.wounds else {}
    atheris.Setup(["drive", *options], Watch(reader, given.keep, first=given.first), **wounds)
    print(json.dumps({"reader": given.reader, "seeds": len(reader.seeds)}), file=sys.stderr, flush=True)
    atheris.Fuzz()


def _reader(name: str) -> Reader:
    if name == "faulty":
        return FAULTY
    readers = Readers()
    return readers.any() if name == "any" else readers.all[name]


def _word(token: bytes) -> str:
    return "".join(f"\\x{byte:02X}" for byte in token)


if __name__ == "__main__":
    main(sys.argv[1:])
