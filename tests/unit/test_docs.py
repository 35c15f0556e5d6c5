"""The docs say what the code does: printed pages are fresh, numbers and links exist, codes are given, commands run."""

import ast
import re
import subprocess
import sys
import textwrap
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from gateway.cli.main import main as program
from gateway.cli.reference import PAGES
from gateway.config.load import load
from gateway.model.problems import CODES, GROUPS, NEVER_REFUSES, RESERVED, SOMETIMES_WARNS
from gateway.telemetry.points import BROKER_POINTS, POINTS
from tests.proof.lines import LINES

ROOT = Path(__file__).resolve().parents[2]
PAGES_IN_MARKDOWN = sorted(
    path
    for folder in (ROOT, ROOT / "docs", ROOT / "samples", ROOT / "benchmarks")
    for path in folder.glob("*.md")
    if path.is_file()
)
#: `gateway/model/problems.py` names every code: it does not count as giving one.
TABLE = ROOT / "gateway" / "model" / "problems.py"
#: A number of a decision or rule; P1 to P20 without a hyphen, and never as a part of another name.
CITED = re.compile(r"(?<![\w^/.-])(?:[DO]-[1-9]\d?|R-\d\d|P[1-9]\d?)(?![\w-])")
#: What begins like a path and is a media type, or a place in a request.
MEDIA = {"text", "application", "multipart", "submission"}
#: P7 is the number of nothing; those of other lists look like a P-number and are none.
LISTED = {
    "D": [f"D-{number}" for number in range(1, 27)],
    "O": [f"O-{number}" for number in range(1, 17)],
    "R": [f"R-{number:02}" for number in range(1, 43)],
    "P": [f"P{number}" for number in range(1, 21) if number != 7],
}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, printed by a process of its own as `make docs` does: click keeps what a command's first help looked like."""
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, "-m", "gateway.cli.reference", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_a_printed_page_is_committed_as_printed(page: str, printed: Path) -> None:
    committed = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert (printed / page).read_text(encoding="utf-8") == committed, "run `make docs` and commit docs/"


def defined() -> set[str]:
    """Numbers that have a heading in decisions.md or a row in rules.md."""
    decisions = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    rules = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    return {*re.findall(r"(?m)^### (D-\d+) \S", decisions), *re.findall(r"(?m)^\| ((?:[RO]-|P)\d+) \|", rules)}


def test_every_number_is_in_the_docs_once() -> None:
    decisions = (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8")
    rules = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^### (D-\d+) ", decisions) == LISTED["D"]
    assert re.findall(r"(?m)^\| ((?:[RO]-|P)\d+) \|", rules) == [*LISTED["R"], *LISTED["O"], *LISTED["P"]]


def test_every_number_cited_is_in_the_docs() -> None:
    known = defined()
    files = [
        *(path for folder in ("gateway", "tests", "samples") for path in (ROOT / folder).rglob("*.py")),
        *(ROOT / "gateway").rglob("*.sql"),
        *PAGES_IN_MARKDOWN,
    ]
    cited = defaultdict(list)
    for path in files:
        if path == Path(__file__) or ".mypy_cache" in path.parts:
            continue
        for number in CITED.findall(path.read_text(encoding="utf-8")):
            cited[number].append(path.relative_to(ROOT).as_posix())
    assert len(cited) > 40, "nothing was found: has the pattern lost its way?"
    assert {number: where for number, where in cited.items() if number not in known} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see D-5, O-16 and P8 (R-01)", ["D-5", "O-16", "P8", "R-01"]),
        ("ORU^R01, MDM^P03, D-2026, PAM p.33, EP8, X-R-01", []),
    ],
)
def test_the_search_finds_numbers_and_nothing_else(text: str, found: list[str]) -> None:
    assert CITED.findall(text) == found


def test_every_decision_says_status_and_reason() -> None:
    parts = re.split(r"(?m)^### (D-\d+) .*$", (ROOT / "docs" / "decisions.md").read_text(encoding="utf-8"))[1:]
    for number, text in zip(parts[::2], parts[1::2], strict=True):
        assert re.search(r"\*\*Status\*\*: accepted\b", text), number
        assert "**Because** " in text, number


def test_every_file_that_the_docs_name_exists() -> None:
    """A path in code ticks, `rules/opposition.py`: from the root, from the package or from the page's own folder."""
    missing = []
    for page in PAGES_IN_MARKDOWN:
        for name in re.findall(r"`([A-Za-z_.][\w.]*/(?:[\w.]+/)*[\w.]*)`", page.read_text(encoding="utf-8")):
            # What a running gateway makes, and places of the operator's.
            if (
                name.split("/")[0]
                in {"dmp-data", "answers", "keys", "hands", "flow", "parking", "DATA", "dist", "proof-ledger"} | MEDIA
            ):
                continue
            if not any((base / name).exists() for base in (ROOT, ROOT / "gateway", page.parent)):
                missing.append(f"{page.relative_to(ROOT)}: {name}")
    assert missing == []


def test_every_test_that_the_docs_name_exists() -> None:
    tests = {name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)\(", path.read_text())}
    named = {name for page in PAGES_IN_MARKDOWN for name in re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8"))}
    assert named
    assert named <= tests


def test_the_page_of_the_proof_has_every_named_point_in_its_order() -> None:
    text = (ROOT / "docs" / "proof.md").read_text(encoding="utf-8")
    assert tuple(re.findall(r"(?m)^\| `([a-z.]+)` \|", text)) == (*POINTS, *BROKER_POINTS)


def test_the_page_of_the_proof_names_the_campaigns_that_there_are() -> None:
    text = (ROOT / "docs" / "proof.md").read_text(encoding="utf-8").partition("## Sabotages")[0]
    rows = re.findall(r"(?m)^\| (F\d+|S\d+|[A-Z]{3,}) \|.*\| ([^|]+) \|$", text)
    assert [number for number, _ in rows][:23] == [f"F{number}" for number in range(1, 24)]
    assert {number for number, nightly in rows if nightly.startswith("yes")} == {line.name for line in LINES}


# -- problem codes


def calls(path: Path) -> Iterator[tuple[str, bool]]:
    """Each call that gives a code: the code, and whether it is (or may be) a warning there."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        severity = next((word.value for word in node.keywords if word.arg == "severity"), None)
        warns = (isinstance(node.func, ast.Attribute) and node.func.attr == "warn") or severity is not None
        written = [*node.args[:1], *(word.value for word in node.keywords if word.arg in {"code", "problem"})]
        yield from ((each.value, warns) for each in written if isinstance(each, ast.Constant) and each.value in CODES)


def mentions(path: Path) -> set[str]:
    """Codes that stand in a file as texts of the program."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str) and n.value in CODES}


@pytest.fixture(scope="module")
def sources() -> list[Path]:
    return [
        path for path in (ROOT / "gateway").rglob("*.py") if path != TABLE and path.name not in {"reference.py", "texts_fr.py"}
    ]


def test_every_code_is_given_somewhere_or_reserved(sources: list[Path]) -> None:
    given = set().union(*(mentions(path) for path in sources))
    assert CODES.keys() - given == set(RESERVED)
    assert all(RESERVED.values())


def test_the_codes_that_may_be_warnings_are_those_of_the_table(sources: list[Path]) -> None:
    found = defaultdict(set)
    for path in sources:
        for code, warns in calls(path):
            found[code].add(warns)
    always = {code for code, kinds in found.items() if kinds == {True}}
    sometimes = {code for code, kinds in found.items() if kinds == {True, False}}
    assert {code for code in sometimes if code in NEVER_REFUSES} == set()
    assert always <= NEVER_REFUSES | SOMETIMES_WARNS
    assert sometimes <= SOMETIMES_WARNS
    assert {code for code in NEVER_REFUSES if found[code] == {False}} == set()


def test_every_row_of_the_table_is_complete() -> None:
    assert sum(len(rows) for _, _, rows in GROUPS) == len(CODES), "a code stands there twice"
    for row in CODES.values():
        assert row.example, row.code
        assert row.source, row.code
        assert row.text.endswith("."), row.code
        assert row.advice.endswith("."), row.code


def test_the_reference_of_hl7v2_names_codes_that_exist() -> None:
    text = (ROOT / "docs" / "hl7v2.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| .* \| A[AER] \|", line)]
    assert len(rows) > 20
    named = {word for line in rows for word in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b|\bCARDINALITY\b|\bINTERNAL\b", line)}
    assert named - CODES.keys() == set()
    for line in rows:
        answer = line.split("|")[2].strip()
        for code in set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", line)):
            assert answer == ("AA" if code in NEVER_REFUSES else CODES[code].answer), code


# -- links and commands


def anchors(text: str) -> set[str]:
    found = set()
    for heading in re.findall(r"(?m)^#{1,6} (.+)$", text):
        found.add(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES_IN_MARKDOWN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"(?ms)^\s*```.*?^\s*```", "", page.read_text(encoding="utf-8"))
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            broken.append(target)
    assert broken == []


def commands(page: Path) -> list[list[str]]:
    text = page.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"(?ms)^\s*```(?:console|sh|bash)\n(.*?)^\s*```", text))
    written = [line.partition("#")[0] for line in re.findall(r"(?m)^\$ (.+)$", blocks)]
    written += re.findall(r"`((?:\.venv/bin/)?dmp-gateway [^`]+|make [a-z-]+[^`]*)`", re.sub(r"(?ms)^\s*```.*?^\s*```", "", text))
    return [line.split() for line in written]


@pytest.mark.parametrize("page", PAGES_IN_MARKDOWN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_names_verbs_options_and_files_that_exist(page: Path) -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    for words in commands(page):
        if words[0] == "make":
            assert len(words) == 1 or words[1] in targets, words
        elif words[0].endswith("dmp-gateway"):
            check_command(words[1:])


def check_command(words: list[str]) -> None:
    command: click.Command = program
    context = click.Context(program)
    for word in words:
        if isinstance(command, click.Group) and not word.startswith("-"):
            found = command.get_command(context, word)
            assert found is not None, words
            command = found
        elif word.startswith("--"):
            known = {name for each in command.get_params(context) for name in (*each.opts, *each.secondary_opts)} | {"--help"}
            assert word.partition("=")[0] in known, words
        elif word.endswith((".er7", ".mllp")):
            assert "*" in word or (ROOT / word).exists(), words


def test_the_readme_has_commands_to_check() -> None:
    assert len(commands(ROOT / "README.md")) > 8


def test_a_command_that_is_wrong_is_found() -> None:
    for wrong in (["sned"], ["serve", "--prot", "1"], ["send", "samples/none.er7"], ["record", "shut"]):
        with pytest.raises(AssertionError):
            check_command(wrong)


def test_the_configuration_of_the_reference_loads(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "hl7v2.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"(?ms)^ *```toml\n(.*?)^ *```", text)
    file = tmp_path / "gateway.toml"
    file.write_text(textwrap.dedent(block), encoding="utf-8")
    loaded = load(file, {}, {})
    assert [source.id for source in loaded.settings.sources] == ["gam-valmont", "sil-valmont", "ris-valmont"]
    assert tomllib.loads(file.read_text(encoding="utf-8"))["connections"][0]["networks"] == ["127.0.0.11/32"]
