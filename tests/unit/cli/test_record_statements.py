"""`record oppose` and `record lift`: scopes by option, what is refused and why, all that is lifted shown."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.record import record

INS = "284103523811464"


def run(data: Path, words: str) -> Result:
    return CliRunner().invoke(record, [*words.split(), "--ins", INS, "--data", str(data)])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    assert run(tmp_path / "data", "open --collected-by desk").exit_code == 0
    return tmp_path / "data"


SCOPES = {
    "": "all",
    "--establishment clinique-aubier": "establishment clinique-aubier",
    "--source-kind insurer": "source_kind insurer",
    "--professional 10001234567": "professional 810001234567",
    "--class 60": "class 60",
    "--type 11502-2": "type 11502-2",
    "--scope source_kind --value practice": "source_kind practice",
    "--stated-by establishment --collected-by chu-valmont": "establishment chu-valmont",
    "--stated-by establishment --collected-by chu-valmont --type 18748-4": "type 18748-4",
}


def test_every_scope_is_stated_shown_and_lifted(data: Path) -> None:
    for words in SCOPES:
        result = run(data, f"oppose {words}")
        assert (result.exit_code, result.stdout) == (0, "The opposition is in force.\n"), result.output
    shown = run(data, "show").stdout
    assert shown.count("YES") == len(SCOPES)
    for scope in SCOPES.values():
        assert f"opposes  {scope} " in shown
    assert run(data, "oppose --stated-by mt --collected-by 810001234567 --class 11").exit_code == 0
    assert [word for line in run(data, "show").stdout.splitlines() if " class 11 " in line for word in line.split()[3:9]] == [
        "class",
        "11",
        "patient",
        "by",
        "mt",
        "(810001234567)",
    ]
    assert run(data, "lift --class 11").exit_code == 0
    told = run(data, "lift --all").stdout.splitlines()
    assert told == [
        "lifts: all, the patient's",
        "lifts: establishment clinique-aubier, the patient's",
        "lifts: source_kind insurer, the patient's",
        "lifts: professional 810001234567, the patient's",
        "lifts: class 60, the patient's",
        "lifts: type 11502-2, the patient's",
        "lifts: source_kind practice, the patient's",
        "lifts: establishment chu-valmont, told to chu-valmont",
        "stays (only its establishment lifts it): type 18748-4, told to chu-valmont",
        "The liftings are noted; `record show` tells what is still in force.",
    ]
    shown = run(data, "show").stdout
    assert shown.count("YES") == 1
    assert (shown.count("no: later "), shown.count("no: lifted by ")) == (8, 1)
    again = run(data, "lift --all")
    assert (again.exit_code, "No opposition in force is the patient's to lift." in again.output) == (1, True)
    assert run(data, "lift --stated-by establishment --collected-by chu-valmont --type 18748-4").exit_code == 0
    assert "YES" not in run(data, "show").stdout


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ("oppose --source-kind bank", 1, "known: hospital, imaging, insurer, laboratory, patient, pharmacy, practice"),
        ("oppose --professional 12", 1, "8 and the 11 digits of an RPPS, or 0 and the 9 characters of an ADELI"),
        ("oppose --class 77", 1, "known: 10, 11, 31"),
        ("oppose --type 99999-9", 1, "docs/terminology.md lists them"),
        ("oppose --establishment nowhere", 1, "neither an establishment of this gateway nor a FINESS"),
        ("oppose --scope hospital --value x", 2, "'all', 'source_kind', 'establishment', 'professional', 'class', 'type'"),
        ("oppose --value x", 2, "--value goes with --scope"),
        ("oppose --scope type", 1, "scope_value"),
        ("oppose --class 60 --type 11502-2", 2, "give one of"),
        ("oppose --stated-by establishment", 1, "desk is no establishment"),
        ("oppose --stated-by establishment --collected-by chu-valmont --establishment clinique-aubier", 1, "R-14"),
        ("oppose --stated-by nobody", 2, "'patient', 'representative', 'mt', 'desk', 'establishment'"),
        ("lift --all --class 60", 2, "name none"),
        ("lift --all --scope all", 2, "name none"),
    ],
)
def test_what_binds_nobody_is_refused_with_what_would(tmp_path: Path, words: str, status: int, told: str) -> None:
    result = run(tmp_path / "data", words)
    assert told in " ".join(result.output.split()), result.output
    assert result.exit_code == status
