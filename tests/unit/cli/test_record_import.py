"""`record import`: lines read, refused with what to do, opened once; files that cannot be read refused whole."""

import csv
import json
import sqlite3
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli.import_file import ALIASES, COLUMNS, FAULTS, FileRefused, ImportFile
from gateway.cli.main import main
from gateway.model.ins import control_key
from tests.harness import postgres

TODAY = datetime(2026, 3, 10)  # noqa: DTZ001 - a day
HEADER = "ins;birth_name;given_names;birth_date;sex;birth_place;channel;consent_by;consent_at;consent_place;emergency_access"
Run = Callable[..., Result]


def ins(number: int) -> str:
    thirteen = f"28410{number % 90 + 10}{number:06}"
    return f"{thirteen}{control_key(thirteen):02}"


def line(number: int, **cells: str) -> str:
    values = {
        "ins": ins(number), "birth_name": "MARTIN", "given_names": "ANNE MARIE", "birth_date": "1984-10-05", "sex": "F",
        "birth_place": "75056", "channel": "hospital", "consent_by": "Mme Durand", "consent_at": "2026-03-09 14:30",
        "consent_place": "Accueil", "emergency_access": "oui",
    } | cells  # fmt: skip
    return ";".join(values.values())


def written(path: Path, *lines: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
    path.write_bytes("\r\n".join((header, *lines, "")).encode(encoding))
    return path


def read(path: Path) -> list[Any]:
    file = ImportFile(path, TODAY)
    try:
        return list(file.lines())
    finally:
        file.close()


@pytest.fixture(params=["sqlite", "postgres"])
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """The program, with a record store of each kind."""
    monkeypatch.setenv("DMP_GATEWAY_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    url = None
    if request.param == "postgres":
        url = postgres.shared().lend()
        monkeypatch.setenv("DATABASE_URL", url)
    yield lambda *words: CliRunner().invoke(main, words)
    if url is not None:
        postgres.shared().give_back(url)


def told(result: Result) -> list[dict[str, Any]]:
    return [json.loads(each) for each in result.stdout.splitlines()]


def page(run: Run, number: int) -> dict[str, Any]:
    return json.loads(run("record", "show", "--ins", ins(number), "--json").stdout)


# -- what becomes of a file


def test_records_are_opened_once_and_what_is_wrong_is_kept_beside(run: Run, tmp_path: Path) -> None:
    wrong = line(2, ins=ins(2)[:-1] + str((int(ins(2)[-1]) + 1) % 10))
    file = written(tmp_path / "patients.csv", line(1), wrong, line(3), "", line(1), line(4, birth_date="05/10/1984"))
    dry = run("record", "import", str(file), "--dry-run", "--json")
    assert dry.exit_code == 1
    fault = {"line": 3, "column": "ins", "code": "INS_KEY", "advice": FAULTS["INS_KEY"]}
    assert told(dry) == [
        fault,
        {"lines": 5, "opened": 4, "unchanged": 0, "rejected": 1, "dry_run": True},
    ]
    assert run("record", "show", "--ins", ins(1)).exit_code == 1
    done = run("record", "import", str(file), "--json")
    beside = tmp_path / "patients.rejected.csv"
    assert done.exit_code == 1
    assert told(done) == [
        fault,
        {"lines": 5, "opened": 3, "unchanged": 1, "rejected": 1, "dry_run": False, "rejected_file": str(beside)},
    ]
    assert {number: page(run, number)["state"] for number in (1, 3, 4)} == {1: "open", 3: "open", 4: "open"}
    assert page(run, 1)["channel"] == "hospital"
    assert beside.stat().st_mode & 0o777 == 0o600
    with beside.open(encoding="utf-8-sig", newline="") as text:
        head, kept = csv.reader(text, delimiter=";")
    assert head == ["_line", "_column", "_code", "_what_to_do", *HEADER.split(";")]
    assert kept == ["3", "ins", "INS_KEY", FAULTS["INS_KEY"], *wrong.split(";")]
    again = run("record", "import", str(file))
    assert again.exit_code == 1 and "earlier run" in again.output
    corrected = tmp_path / "corrected.csv"
    corrected.write_text(beside.read_text(encoding="utf-8").replace(wrong.split(";")[0], ins(2)), encoding="utf-8")
    last = run("record", "import", str(corrected), "--json")
    assert (last.exit_code, told(last)[0]["opened"]) == (0, 1)
    beside.unlink()
    assert told(run("record", "import", str(file), "--json"))[-1]["unchanged"] == 4
    assert run("db", "check").exit_code == 0


def test_a_record_that_its_patient_closed_stays_closed(run: Run, tmp_path: Path) -> None:
    file = written(tmp_path / "patients.csv", line(1), line(2))
    assert run("record", "import", str(file)).exit_code == 0
    assert run("record", "close", "--ins", ins(1)).exit_code == 0
    done = run("record", "import", str(file), "--json")
    assert done.exit_code == 1
    assert told(done)[0] == {"line": 2, "column": "ins", "code": "RECORD_CLOSED", "advice": FAULTS["RECORD_CLOSED"]}
    assert (told(done)[1]["opened"], told(done)[1]["unchanged"], told(done)[1]["rejected"]) == (0, 1, 1)
    assert page(run, 1)["state"] == "closed"


def test_what_was_recorded_with_the_consent_is_kept(tmp_path: Path) -> None:
    moved = line(2, channel="migration", consent_by="", consent_at="", consent_place="", emergency_access="")
    file = written(tmp_path / "p.csv", line(1, emergency_access="no"), moved)
    assert CliRunner().invoke(main, ["record", "import", str(file), "--data", str(tmp_path / "data")]).exit_code == 0
    with closing(sqlite3.connect(tmp_path / "data" / "store.db")) as connection:
        rows = connection.execute("SELECT channel, consent_by, consent_at, consent_place, emergency_access, traits FROM record")
        first, second = rows.fetchall()
    assert first[:5] == ("hospital", "Mme Durand", "2026-03-09T14:30", "Accueil", 0)
    traits = json.loads(first[5])
    assert (traits["birth_name"], traits["first_given_name"], traits["given_names"]) == ("MARTIN", "ANNE", "ANNE MARIE")
    assert (traits["sex"], traits["birth_place"]) == ("F", "75056")
    assert second[:5] == ("migration", None, None, None, None)


def test_an_import_that_was_cut_off_goes_on(run: Run, tmp_path: Path) -> None:
    assert run("record", "import", str(written(tmp_path / "half.csv", *(line(n) for n in range(1, 60))))).exit_code == 0
    whole = written(tmp_path / "whole.csv", *(line(n) for n in range(1, 131)))
    (summary,) = told(run("record", "import", str(whole), "--json"))
    assert (summary["opened"], summary["unchanged"], summary["rejected"]) == (71, 59, 0)
    assert not list(tmp_path.glob("*rejected*"))


def test_a_root_of_another_environment_is_told_by_line(run: Run, tmp_path: Path, root: Path) -> None:
    sample = (root / "samples" / "dmp-gateway.toml").read_text(encoding="utf-8")
    config = tmp_path / "production.toml"
    config.write_text(sample.replace('environment = "test"', 'environment = "production"'), encoding="utf-8")
    file = written(tmp_path / "p.csv", line(1) + ";test", line(2) + ";", header=HEADER + ";root")
    done = run("record", "import", str(file), "--config", str(config), "--json")
    assert done.exit_code == 1
    assert [(each["line"], each["code"]) for each in told(done)[:-1]] == [(2, "INS_ROOT")]
    assert told(done)[-1]["opened"] == 1


# -- lines

WRONG = [
    ({"ins": ""}, [("ins", "MISSING")]),
    ({"ins": "2841035238114"}, [("ins", "INS_SHAPE")]),
    ({"ins": "2,84104E+14"}, [("ins", "INS_SHAPE")]),
    ({"ins": "194012A00123442"}, [("ins", "INS_KEY")]),
    ({"birth_name": "=HYPERLINK(1)"}, [("birth_name", "FORMULA")]),
    ({"birth_name": "@SUM(A1)"}, [("birth_name", "FORMULA")]),
    ({"birth_name": "-cmd(1)"}, [("birth_name", "FORMULA")]),
    ({"birth_name": '"MAR\nTIN"'}, [("birth_name", "TEXT")]),
    ({"birth_name": "MAR\x00TIN"}, [("birth_name", "TEXT")]),
    ({"birth_name": "M" * 251}, [("birth_name", "TEXT")]),
    ({"given_names": ""}, [("given_names", "MISSING")]),
    ({"birth_date": "31/02/1984"}, [("birth_date", "DATE")]),
    ({"birth_date": "10/5/84"}, [("birth_date", "DATE")]),
    ({"birth_date": "2026-03-11"}, [("birth_date", "DATE")]),
    ({"sex": "H"}, [("sex", "SEX")]),
    ({"sex": "MF"}, [("sex", "SEX")]),
    ({"birth_place": "1053"}, [("birth_place", "BIRTH_PLACE")]),
    ({"channel": "poste"}, [("channel", "CHANNEL")]),
    ({"consent_by": "", "consent_at": ""}, [("consent_by", "CONSENT"), ("consent_at", "CONSENT")]),
    ({"consent_at": "demain"}, [("consent_at", "DATE")]),
    ({"consent_at": "2026-03-09 25:00"}, [("consent_at", "DATE")]),
    ({"emergency_access": "peut-être"}, [("emergency_access", "EMERGENCY")]),
    ({"sex": "x", "birth_place": "??"}, [("sex", "SEX"), ("birth_place", "BIRTH_PLACE")]),
    ({"consent_place": "a;b"}, [("", "CELLS")]),
]


@pytest.mark.parametrize(("cells", "faults"), WRONG)
def test_each_thing_that_is_wrong_has_its_code_and_place(cells: dict[str, str], faults: list[Any], tmp_path: Path) -> None:
    first, second, third = read(written(tmp_path / "p.csv", line(1), line(2, **cells), line(3)))
    assert (first.faults, third.faults) == ((), ())
    assert second.opening is None
    assert [(each.line, each.column, each.code) for each in second.faults] == [(3, *each) for each in faults]
    assert {each.advice for each in second.faults} <= set(FAULTS.values())


def test_every_fault_is_met() -> None:
    """Two are the store's, one the gateway's: they have tests of their own."""
    assert {code for _, faults in WRONG for _, code in faults} | {"INS_ROOT", "RECORD_CLOSED", "IDENTITY_CONFLICT"} == set(FAULTS)


@pytest.mark.parametrize(
    ("cells", "column", "value"),
    [
        ({"ins": f"{ins(1)[:1]} {ins(1)[1:13]} {ins(1)[13:]}"}, "patient", ins(1)),
        ({"birth_date": "19841005"}, "birth_date", "1984-10-05"),
        ({"birth_date": "05/10/1984"}, "birth_date", "1984-10-05"),
        ({"sex": "f"}, "sex", "F"),
        ({"birth_place": "2b033"}, "birth_place", "2B033"),
        ({"birth_name": "O'BRIEN-LÉGER"}, "birth_name", "O'BRIEN-LÉGER"),
        ({"birth_name": '"D;ARC ""dite"" X"'}, "birth_name", 'D;ARC "dite" X'),
        ({"emergency_access": ""}, "emergency_access", None),
        ({"consent_at": "09/03/2026"}, "collected_at", "2026-03-09"),
        ({"consent_at": "2026-03-09T14:30:05+01:00"}, "collected_at", "2026-03-09T14:30:05+01:00"),
    ],
)
def test_what_can_be_understood_is_taken(cells: dict[str, str], column: str, value: object, tmp_path: Path) -> None:
    (only,) = read(written(tmp_path / "p.csv", line(1, **cells)))
    assert only.faults == ()
    opening = only.opening
    found = {
        "patient": opening.patient.value,
        "birth_date": opening.traits.birth_date.iso,
        "emergency_access": opening.emergency_access,
        "collected_at": opening.collected_at,
    }
    assert (found[column] if column in found else getattr(opening.traits, column)) == value


@pytest.mark.parametrize("separator", [";", ",", "\t"])
def test_separators_columns_in_any_order_and_a_mark_at_the_beginning(separator: str, tmp_path: Path) -> None:
    names, cells = HEADER.split(";")[::-1], line(1).split(";")[::-1]
    names[names.index("ins")] = " Matricule "
    file = written(tmp_path / "p.csv", separator.join(cells), header=separator.join(names), encoding="utf-8-sig")
    (only,) = read(file)
    assert only.faults == () and only.opening.patient.value == ins(1)
    assert only.number == 2
    assert ALIASES["matricule"] == "ins" and set(ALIASES.values()) <= set(COLUMNS)


# -- files

REFUSED = [
    (b"", "empty line", "first line names"),
    (line(1).encode(), "not known", "Known"),
    (HEADER.replace("birth_date", "birth_dat").encode(), "Column 4", "birth_date"),
    (f"{HEADER};sex".encode(), "twice", "away"),
    (HEADER.replace("sex;", "").encode(), "lacks sex", "names the columns"),
    (HEADER.encode("utf-16"), "UTF-16", "UTF-8"),
    (f"{HEADER}\n{line(1, birth_name='LÉGER')}\n".encode("latin-1"), "not UTF-8", "iconv"),
    (f"{HEADER}\n{line(1)}\n{line(2, birth_name=chr(34) + 'MARTIN')}\n{line(3)}\n".encode(), "after line 2", "quote"),
    (f"{HEADER}\n{line(1, birth_name='A' * 1_000_000)}\n".encode(), "a cell has no end", "short text"),
]


@pytest.mark.parametrize(("content", "message", "advice"), REFUSED)
def test_a_file_that_cannot_be_read_is_refused_whole(content: bytes, message: str, advice: str, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes(content)
    with pytest.raises(FileRefused) as caught:
        read(tmp_path / "p.csv")
    assert message in str(caught.value) and advice in caught.value.advice
    done = CliRunner().invoke(main, ["record", "import", str(tmp_path / "p.csv"), "--data", str(tmp_path / "data")])
    assert done.exit_code == 1 and message in done.output and "Traceback" not in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]


def test_nothing_that_is_printed_tells_of_a_patient(run: Run, tmp_path: Path) -> None:
    file = written(tmp_path / "p.csv", line(1, birth_name="=DUVAL", sex="Z"), line(2, birth_date="hier", birth_name="DUVAL"))
    for words in (("--dry-run",), ("--dry-run", "--json"), ()):
        done = run("record", "import", str(file), *words)
        assert done.exit_code == 1
        assert not [word for word in ("DUVAL", "hier", ins(1), ins(2)) if word in done.output]


def test_a_formula_that_was_rejected_is_not_run_by_the_next_spreadsheet(run: Run, tmp_path: Path) -> None:
    run("record", "import", str(written(tmp_path / "p.csv", line(1, birth_name="=HYPERLINK(1)"))))
    assert ";'=HYPERLINK(1);" in (tmp_path / "p.rejected.csv").read_text(encoding="utf-8-sig")


def test_a_long_file_needs_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        file = ImportFile(written(tmp_path / "p.csv", *(line(n) for n in range(count))), TODAY)
        tracemalloc.start()
        assert sum(not each.faults for each in file.lines()) == count
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        file.close()
        return used

    peak(10)
    assert peak(4000) < peak(400) + 100_000
