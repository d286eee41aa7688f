"""Writes the dashboard: `python -m deploy.grafana.dashboard`. A test holds accord.json against what this gives."""

import json
from pathlib import Path
from typing import Any, Final

from deploy.grafana.line_rows import FAILURES, GLANCE, KAFKA, LAG, LATENCY
from deploy.grafana.outside_rows import CLOCKS, DELIVERY, HTTP, PROCESSES
from deploy.grafana.panels import laid_out

FILE: Final = Path(__file__).with_name("accord.json")
ROWS: Final = (GLANCE, LATENCY, LAG, KAFKA, FAILURES, CLOCKS, DELIVERY, HTTP, PROCESSES)


def dashboard() -> dict[str, Any]:
    """The whole dashboard, as Grafana imports it."""
    return {
        "uid": "accord",
        "title": "Accord",
        "tags": ["accord"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource_variable(), _service_variable()]},
        "annotations": {"list": []},
        "panels": list(laid_out(ROWS)),
    }


def _datasource_variable() -> dict[str, Any]:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}


def _service_variable() -> dict[str, Any]:
    return {
        "name": "service",
        "label": "Service",
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": {"query": "label_values(accord_stream_lag_events, service)", "refId": "services"},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def text() -> str:
    """The file as it is committed."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
