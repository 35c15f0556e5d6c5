"""`keys`: what is drawn, told, copied and refused."""

import json
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import keys as verbs
from gateway.cli.keys import keys
from gateway.model.lane_day import LanePassed
from gateway.queue import key_files
from gateway.queue.embedded import EmbeddedQueue
from gateway.queue.keys import Keys, Ring
from gateway.store.sqlite.store import SqliteStore
from gateway.wiring.clock import SystemClock
from tests.unit.cli.test_doctor import told


def run(*arguments: str, **more: object) -> Result:
    return CliRunner().invoke(keys, arguments, **more)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    made = tmp_path / "data"
    assert run("init", "--data", str(made)).exit_code == 0
    return made


def aged(data: Path, days: int) -> None:
    """Let the keys be as old as if this machine had run on without erasing any."""
    folder, today = data / "keys", Keys.open(data / "keys", SystemClock()).today()
    for ring in Ring:
        path = key_files.file_of(folder, ring, today)
        path.rename(key_files.file_of(folder, ring, today - days))
    Keys.open(folder, SystemClock()).ratchet()


def test_a_new_machine_holds_today(data: Path) -> None:
    result = run("status", "--data", str(data), "--json")
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    state = json.loads(line)
    today = str(key_files.date_of(Keys.open(data / "keys", SystemClock()).today()))
    assert (state["today"], state["promise_kept"], state.get("broken_since")) == (today, True, None)
    assert [(key["ring"], key["day"], key["state"]) for key in state["keys"]] == [
        ("flow", today, "in_use"), ("parking", today, "in_use")
    ]  # fmt: skip
    assert len(state["fingerprint"]) == 24
    shown = run("status", "--data", str(data))
    assert shown.exit_code == 0
    assert state["fingerprint"] in shown.stdout
    assert "48 hours" in shown.stdout


def test_what_a_day_waits_for_is_told_with_its_lane(data: Path) -> None:
    aged(data, 3)
    held = Keys.open(data / "keys", SystemClock())
    EmbeddedQueue(data / "queue.db", held).close()
    store = SqliteStore(data / "store.db", SystemClock())
    (lane,) = EmbeddedQueue(data / "queue.db", held).marked_lanes
    store.pass_lanes([LanePassed(lane=lane, day=held.today() - 3)])
    store.close()
    result = run("status", "--data", str(data), "--json")
    assert result.exit_code == 1, "what was received three days ago can be read"
    state = json.loads(result.stdout)
    flow = [key for key in state["keys"] if key["ring"] == "flow"]
    assert [key["state"] for key in flow[:2]] == ["due", "waits"]
    assert flow[2]["state"] in {"waits", "in_use"}, "yesterday, which may have ended minutes ago"
    assert flow[3]["state"] == "in_use"
    assert flow[1]["waits"][0]["lane"] == lane
    begun = key_files.midnight(held.today() - 3)
    assert state["broken_since"] == (begun + timedelta(hours=48)).isoformat().replace("+00:00", "Z")
    shown = run("status", "--data", str(data))
    assert f"{lane} since" in shown.stdout
    assert "can be read, since" in shown.stdout
    first, problem = told(data, "keys")
    assert (first["state"], problem["state"]) == ("ok", "problem")
    assert lane in problem["text"]


def test_a_machine_without_a_store_does_not_know(data: Path) -> None:
    aged(data, 2)
    state = json.loads(run("status", "--data", str(data), "--json").stdout)
    assert [key["state"] for key in state["keys"] if key["ring"] == "flow"][::2] == ["unknown", "in_use"]


def test_without_keys(tmp_path: Path) -> None:
    for verb in (["status"], ["export", str(tmp_path / "copy")]):
        result = run(*verb, "--data", str(tmp_path / "none"))
        assert result.exit_code == 1
        assert "keys init" in result.stderr
    assert not (tmp_path / "copy").exists()


def test_the_secret_goes_from_one_machine_to_another_through_a_file(data: Path, tmp_path: Path) -> None:
    copy, second = tmp_path / "copy", tmp_path / "second"
    made = run("export", str(copy), "--data", str(data))
    assert made.exit_code == 0, made.output
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    taken = run("join", str(copy), "--data", str(second))
    assert taken.exit_code == 0, taken.output
    (mark,) = {line for line in taken.stdout.splitlines() if line.startswith("fingerprint ")}
    assert mark in made.stderr
    assert "shred -u" in taken.stderr
    one, two = ({path.name: path.read_bytes() for path in (each / "keys").iterdir()} for each in (data, second))
    assert one == two
    assert json.loads(run("status", "--data", str(second), "--json").stdout)["fingerprint"] == mark.split()[1]
    secrets = [path.read_bytes() for path in (data / "keys").iterdir()]
    for result in (made, taken):
        assert all(secret.hex() not in result.output for secret in secrets)


def test_through_a_pipe_nothing_is_written(data: Path, tmp_path: Path) -> None:
    made = run("export", "-", "--data", str(data))
    assert made.exit_code == 0
    taken = run("join", "-", "--data", str(tmp_path / "second"), input=made.stdout)
    assert taken.exit_code == 0, taken.output
    assert made.stderr.split()[1] in taken.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"data", "second"}


def test_a_secret_is_never_shown_on_a_terminal(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbs, "_is_terminal", lambda: True)
    result = run("export", "-", "--data", str(data))
    assert result.exit_code == 2
    assert result.stdout == ""


def test_a_copy_that_others_may_read_is_refused(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert run("export", str(copy), "--data", str(data)).exit_code == 0
    copy.chmod(0o640)
    result = run("join", str(copy), "--data", str(tmp_path / "second"))
    assert result.exit_code == 1
    assert "0640" in result.stderr and "chmod 600" in result.stderr
    assert not (tmp_path / "second").exists()
    copy.chmod(0o600)
    (tmp_path / "link").symlink_to(copy)
    assert run("join", str(tmp_path / "link"), "--data", str(tmp_path / "second")).exit_code == 1


def test_what_is_there_is_neither_overwritten_nor_replaced(data: Path, tmp_path: Path) -> None:
    copy, second = tmp_path / "copy", tmp_path / "second"
    assert run("export", str(copy), "--data", str(data)).exit_code == 0
    before = copy.read_bytes()
    assert run("export", str(copy), "--data", str(data)).exit_code == 1
    assert copy.read_bytes() == before
    assert run("init", "--data", str(second)).exit_code == 0
    kept = {path.name: path.read_bytes() for path in (second / "keys").iterdir()}
    result = run("join", str(copy), "--data", str(second))
    assert result.exit_code == 1
    assert "holds keys already" in result.stderr
    assert {path.name: path.read_bytes() for path in (second / "keys").iterdir()} == kept
