"""The dashboards: as printed, over metrics and labels that exist, nothing over another, and readable by Prometheus."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.metrics import MetricWrapperBase

from gateway.cli.dashboard import Panel
from gateway.cli.dashboards import DASHBOARDS, SEVEN, main
from gateway.telemetry import metrics
from tests.unit.telemetry.test_alerts import PROMTOOL, needs_promtool

#: What Prometheus adds to each series when it reads a page, and a histogram to its buckets.
ADDED = {"instance", "job", "le"}
#: What Grafana puts in before it asks.
VARIABLES = {"$source": ".*"}


def labels_by_series() -> dict[str, set[str]]:
    found = {}
    for collector in vars(metrics).values():
        if isinstance(collector, MetricWrapperBase):
            (family,) = collector.describe()
            labels = set(collector._labelnames)
            names = {
                "counter": [f"{family.name}_total"],
                "histogram": [f"{family.name}_{end}" for end in ("bucket", "sum", "count")],
            }
            for name in names.get(family.type, [family.name]):
                found[name] = labels
    return found


def expressions() -> Iterator[tuple[str, str]]:
    for name, dashboard in DASHBOARDS.items():
        for row in dashboard.rows:
            for panel in row.panels:
                for query in panel.queries:
                    yield f"{name}: {panel.title}", query.expr


@pytest.fixture(scope="module")
def files(root: Path) -> dict[str, dict[str, Any]]:
    """The files as they are committed."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (root / "samples" / "grafana").glob("*.json")}


def test_the_files_are_as_printed(root: Path, tmp_path: Path) -> None:
    main(tmp_path)
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text(encoding="utf-8") for path in (root / "samples" / "grafana").iterdir()}
    assert committed == written, "run `make docs` and commit samples/grafana"


def test_each_panel_looks_at_series_that_exist_by_labels_that_they_have() -> None:
    known = labels_by_series()
    for where, expr in expressions():
        used = re.findall(r"dmpgw_\w+", expr)
        assert used, where
        assert set(used) <= set(known), where
        for series, chosen in re.findall(r"(dmpgw_\w+)\{([^}]*)\}", expr):
            named = set(re.findall(r"(\w+)(?:=~|!=|!~|=)", chosen))
            assert named <= known[series] | ADDED, f"{where}: {series}"
        for grouped in re.findall(r"by \(([^)]*)\)", expr):
            named = {label.strip() for label in grouped.split(",")}
            every = set.union(*(known[series] for series in used))
            assert named <= every | ADDED, where


def test_a_legend_names_labels_that_the_series_keeps() -> None:
    for dashboard in DASHBOARDS.values():
        for panel in (panel for row in dashboard.rows for panel in row.panels):
            for query in panel.queries:
                kept = {label.strip() for labels in re.findall(r"by \(([^)]*)\)", query.expr) for label in labels.split(",")}
                assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= kept, panel.title


def test_every_metric_is_on_a_panel() -> None:
    shown = {series for _, expr in expressions() for series in re.findall(r"dmpgw_\w+", expr)}
    families = {re.sub(r"_(bucket|sum|count)$", "", series) for series in shown}
    every = {re.sub(r"_(bucket|sum|count)$", "", series) for series in labels_by_series()}
    assert every - families == set()


def test_the_first_row_is_the_seven_numbers() -> None:
    assert len(SEVEN.panels) == 7
    assert all(panel.kind == "stat" and panel.limits for panel in SEVEN.panels)
    assert sum(panel.width for panel in SEVEN.panels) == 24
    assert all(dashboard.rows[0] is SEVEN for dashboard in DASHBOARDS.values())


def test_panels_have_numbers_of_their_own_and_lie_over_nothing(files: dict[str, dict[str, Any]]) -> None:
    assert set(files) == set(DASHBOARDS)
    for name, dashboard in files.items():
        panels = dashboard["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert at["x"] + at["w"] <= 24, f"{name}: {panel['title']}"
            assert not cells & taken, f"{name}: {panel['title']}"
            taken |= cells


def test_they_ask_the_data_source_of_whoever_imports_them(files: dict[str, dict[str, Any]]) -> None:
    for dashboard in files.values():
        named = {variable["name"] for variable in dashboard["templating"]["list"]}
        assert named == {"datasource", "source"}
        text = json.dumps(dashboard)
        assert set(re.findall(r'"uid": "(\$\{\w+\})"', text)) == {"${datasource}"}
        assert dashboard["uid"] == f"dmp-gateway-{dashboard['title'].rpartition(' ')[2]}"


def test_every_panel_says_what_it_means() -> None:
    panels: list[Panel] = [panel for dashboard in DASHBOARDS.values() for row in dashboard.rows for panel in row.panels]
    assert all(panel.means.endswith((".", ")")) for panel in panels)
    assert all(len({panel.title for panel in row.panels}) == len(row.panels) for d in DASHBOARDS.values() for row in d.rows)


@needs_promtool
def test_prometheus_takes_every_expression(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    lines = ["groups:", "  - name: dashboards", "    rules:"]
    for number, (_, written) in enumerate(expressions()):
        expr = written
        for variable, value in VARIABLES.items():
            expr = expr.replace(variable, value)
        lines += [f"      - record: panel:number:{number}", f"        expr: {json.dumps(expr)}"]
    file = tmp_path / "panels.yml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = subprocess.run([PROMTOOL, "check", "rules", str(file)], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
