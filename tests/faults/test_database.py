"""F1, F6, F8 on PostgreSQL: a slice of each campaign of the proof, seeded; F2 and F7 are with the store's own tests."""

import socket
import threading
from pathlib import Path

import pytest

from tests.harness.breach import held
from tests.harness.cutting import Cutting
from tests.harness.load import Cut, Wire
from tests.proof import campaigns
from tests.proof.database import drops, lent, server_faults

pytestmark = [pytest.mark.faults]


def test_a_server_that_dies_and_starts_again_loses_and_repeats_nothing(tmp_path: Path) -> None:
    run = server_faults(tmp_path / "run", 6, rounds=1, faults=3)
    print(run.line())
    held(run.judgement)
    assert run.ok, run.told()
    assert run.faults == 3
    assert run.judgement.acknowledged == run.judgement.attempt > 50


def test_a_line_that_drops_at_any_byte_loses_and_repeats_nothing(tmp_path: Path) -> None:
    run = drops(tmp_path / "run", 8, rounds=1)
    print(run.line())
    held(run.judgement)
    assert run.ok, run.told()
    assert run.faults > 40
    assert run.judgement.recovered > 5, "no step was taken again: nothing was lost on the way"


@pytest.mark.door
def test_a_gateway_killed_at_random_keeps_its_record_in_the_database(tmp_path: Path) -> None:
    with lent() as url:
        run = campaigns.random_kills(tmp_path / "run", 1, cycles=3, longest=0.5, database=url)
    print(run.line())
    held(run.judgement)
    assert run.ok, run.told()
    assert run.kills == 3
    assert run.judgement.attempt > 30
    assert run.judgement.verdicts["stored"] > 5


@pytest.mark.parametrize(("answers", "after", "heard"), [(True, 0, b""), (True, 3, b"abc"), (False, 2, b"ab")])
def test_the_line_is_cut_where_it_was_asked(answers: bool, after: int, heard: bytes) -> None:
    """What the proxy passes on before it cuts, on either way; then every line is whole again."""
    server, got = socket.create_server(("127.0.0.1", 0)), []

    def echo() -> None:
        for _ in range(2):
            each, _ = server.accept()
            with each:
                while data := each.recv(100):
                    got.append(data)
                    each.sendall(data)

    thread = threading.Thread(target=echo, daemon=True)
    thread.start()
    cutting = Cutting(server.getsockname()[1])
    try:
        cutting.arm(answers=answers, after=after)
        wire = Wire(cutting.port)
        wire.write(b"abcdef")
        with pytest.raises(Cut):
            wire.receive()
        assert cutting.cuts == 1
        whole = Wire(cutting.port)
        whole.write(b"\x0bxyz\x1c\r")
        assert whole.receive() == b"xyz"
        whole.close()
    finally:
        cutting.close()
        thread.join(5)
        server.close()
    assert b"".join(got) == (b"abcdef" if answers else heard) + b"\x0bxyz\x1c\r"
