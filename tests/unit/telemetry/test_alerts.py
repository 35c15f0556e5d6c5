"""The alert rules: printed as the table says, led to the runbook, and firing where they must and nowhere else."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from gateway.cli.alerts import ALERTS, rules
from gateway.telemetry import metrics

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="no promtool: install Prometheus (Debian: apt-get install prometheus)"
)
RULES = Path("samples") / "prometheus" / "rules.yml"


def names() -> set[str]:
    found = set()
    for family in metrics.REGISTRY.collect():
        found |= {family.name, f"{family.name}_total"}
    return found


def test_the_file_is_as_printed(root: Path) -> None:
    assert (root / RULES).read_text(encoding="utf-8") == rules(), "run `make docs` and commit samples/prometheus"


def test_there_are_ten_and_each_has_its_section_in_the_runbook(root: Path) -> None:
    text = (root / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert [alert.name for alert in ALERTS] == re.findall(r"(?m)^### (\w+)$", text)
    assert len(ALERTS) == 10
    for alert in ALERTS:
        assert f'runbook: "docs/metrics.md#{alert.name.lower()}"' in rules()
        assert alert.steps and alert.severity in {"page", "ticket"}


def test_rules_look_at_metrics_that_exist() -> None:
    for alert in ALERTS:
        used = set(re.findall(r"dmpgw_\w+", alert.expr))
        assert used <= names(), alert.name
        assert used or alert.expr.startswith("up{")


@needs_promtool
def test_prometheus_takes_the_rules_and_fires_them_where_it_must(root: Path, tmp_path: Path) -> None:
    assert PROMTOOL is not None
    subprocess.run([PROMTOOL, "check", "rules", str(root / RULES)], check=True, capture_output=True, timeout=60)
    cases = [Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("alerts.yml", "alerts_week.yml")]
    files = [tmp_path / f"{number}.yml" for number in range(len(cases))]
    for file, text in zip(files, cases, strict=True):
        file.write_text(text.replace("RULES", str(root / RULES)), encoding="utf-8")
    done = subprocess.run([PROMTOOL, "test", "rules", *map(str, files)], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {alert.name for alert in ALERTS} == set(re.findall(r"alertname: (\w+)", "".join(cases)))


@needs_promtool
def test_prometheus_finds_nothing_wrong_with_the_page(root: Path) -> None:
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=generate_latest(metrics.REGISTRY), check=False, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
