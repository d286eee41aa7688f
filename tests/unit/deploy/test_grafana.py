"""The dashboard is what its generator gives, and shows only what exists."""

import json
from typing import Any

import pytest
from metric_names import unknown_in

from deploy.grafana.dashboard import FILE, dashboard, text

PANELS: list[dict[str, Any]] = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def _expressions() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def test_the_committed_dashboard_is_what_the_generator_gives() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "python -m deploy.grafana.dashboard writes it anew"


@pytest.mark.parametrize("expression", _expressions())
def test_a_panel_shows_only_what_is_exported(expression: str) -> None:
    assert set(unknown_in(expression)) == set()


def test_panels_stand_beside_and_below_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_ids_are_unique_and_a_panel_has_something_to_show() -> None:
    ids = [panel["id"] for panel in json.loads(text())["panels"]]
    assert len(ids) == len(set(ids))
    assert all(panel["targets"] for panel in PANELS)
