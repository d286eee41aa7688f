"""The parts of a Grafana dashboard as JSON: panels, and the rows that lay them out. No metric is named here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from deploy.grafana.queries import Query

GRID_COLUMNS: Final = 24
PANEL_ROWS: Final = 7
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
RED, GREEN = "red", "green"


@dataclass(frozen=True)
class Panel:
    """One panel. `red_from` colours a number from this value on."""

    title: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: Literal["timeseries", "stat"] = "timeseries"
    width: int = 8
    red_from: float | None = None
    help: str = ""


@dataclass(frozen=True)
class Row:
    """Panels under one heading, left to right."""

    title: str
    panels: Sequence[Panel]


def laid_out(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Every row and panel with its id and place."""
    number, y = 0, 0
    for row in rows:
        number += 1
        place = {"h": 1, "w": GRID_COLUMNS, "x": 0, "y": y}
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}
        y, x = y + 1, 0
        for panel in row.panels:
            number += 1
            if x + panel.width > GRID_COLUMNS:
                x, y = 0, y + PANEL_ROWS
            yield _panel(number, panel, {"h": PANEL_ROWS, "w": panel.width, "x": x, "y": y})
            x += panel.width
        y += PANEL_ROWS


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": GREEN, "value": None}]
    if panel.red_from is not None:
        steps.append({"color": RED, "value": panel.red_from})
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": DATASOURCE,
        "gridPos": place,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
            }
            for index, query in enumerate(panel.queries)
        ],
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "options": _stat_options() if panel.kind == "stat" else _timeseries_options(),
    }


def _stat_options() -> dict[str, Any]:
    return {
        "colorMode": "background",
        "graphMode": "area",
        "reduceOptions": {"calcs": ["lastNotNull"], "values": False},
    }


def _timeseries_options() -> dict[str, Any]:
    return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
