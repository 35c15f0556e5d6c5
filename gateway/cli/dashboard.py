"""A Grafana dashboard as a value, and as the file that Grafana imports."""

import json
from types import MappingProxyType
from typing import Any, Final

from gateway.model.base import Model

#: Grafana's own number for the form of the file: 10 and later read it.
_SCHEMA: Final = 39
_COLUMNS: Final = 24
_DATASOURCE: Final = MappingProxyType({"type": "prometheus", "uid": "${datasource}"})


class Query(Model, frozen=True, kw_only=True):
    """One series of a panel."""

    #: PromQL, over the metrics of this program.
    expr: str
    #: Its name, with Grafana's templates.
    legend: str = ""


class Panel(Model, frozen=True, kw_only=True):
    """One panel: what it shows, and what it means to whoever looks at it."""

    title: str
    #: Shown behind the `i` of the panel.
    means: str
    queries: tuple[Query, ...]
    #: `stat` (one number), `timeseries` or `table`.
    kind: str = "timeseries"
    #: Grafana's name of the unit.
    unit: str = "short"
    width: int = 12
    height: int = 8
    #: From here on it is yellow, and red; none: it is neither good nor bad.
    limits: tuple[float, float] | None = None
    #: Less is worse: green from the second limit on.
    less_is_worse: bool = False


class Row(Model, frozen=True, kw_only=True):
    """Panels under one heading, from left to right."""

    title: str
    panels: tuple[Panel, ...]


class Dashboard(Model, frozen=True, kw_only=True):
    """One dashboard; its uid is part of its address, and stays."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]


def printed(dashboard: Dashboard) -> str:
    """Return a dashboard as Grafana imports it, with a final newline."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in dashboard.rows:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"h": 1, "w": _COLUMNS, "x": 0, "y": top},
            }
        )
        top += 1
        left = tallest = 0
        for panel in row.panels:
            if left + panel.width > _COLUMNS:
                top, left, tallest = top + tallest, 0, 0
            where = {"h": panel.height, "w": panel.width, "x": left, "y": top}
            panels.append(_panel(panel, len(panels) + 1, where))
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    whole = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["dmp-gateway"],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "links": _links(),
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "panels": panels,
    }
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _links() -> list[dict[str, Any]]:
    """Lead to the other dashboard, and to those of the broker and the database that this Grafana has."""
    rows = (("DMP gateway", "dmp-gateway"), ("RabbitMQ (Overview, 10991)", "rabbitmq-prometheus"), ("PostgreSQL", "postgres"))
    return [
        {"type": "dashboards", "title": title, "tags": [tag], "asDropdown": True, "includeVars": False, "keepTime": True}
        for title, tag in rows
    ]


def _variables() -> list[dict[str, Any]]:
    query = "label_values(dmpgw_messages_received_total, source)"
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "hide": 0},
        {
            "name": "source",
            "label": "Source",
            "type": "query",
            "datasource": dict(_DATASOURCE),
            "query": {"query": query, "refId": "source"},
            "definition": query,
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
            "hide": 0,
        },
    ]


def _panel(panel: Panel, number: int, where: dict[str, int]) -> dict[str, Any]:
    is_instant = panel.kind != "timeseries"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.means,
        "gridPos": where,
        "datasource": dict(_DATASOURCE),
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": dict(_DATASOURCE),
                "expr": query.expr,
                "legendFormat": query.legend,
                "instant": is_instant,
                "range": not is_instant,
                **({"format": "table"} if panel.kind == "table" else {}),
            }
            for index, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": {"unit": panel.unit, **_coloured(panel)}, "overrides": []},
        "options": _OPTIONS.get(panel.kind, {}),
    }


_OPTIONS: Final[MappingProxyType[str, dict[str, Any]]] = MappingProxyType({
    "stat": {
        "colorMode": "background", "graphMode": "none", "textMode": "value",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "timeseries": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
    "table": {"showHeader": True},
})  # fmt: skip


def _coloured(panel: Panel) -> dict[str, Any]:
    if panel.limits is None:
        return {}
    colours = ("red", "yellow", "green") if panel.less_is_worse else ("green", "yellow", "red")
    steps = [{"color": colour, "value": value} for colour, value in zip(colours, (None, *panel.limits), strict=True)]
    return {"thresholds": {"mode": "absolute", "steps": steps}}
