"""The rules name what exists, promtool finds them sound, and each alert is shown to fire and to be silent.

promtool comes with Debian's package prometheus; `.ci/run` puts it into `.tools`. ACCORD_REQUIRE_PROMTOOL=1 makes a
missing one a failure.
"""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from metric_names import labels_by_name, unknown_in
from ruamel.yaml import YAML

ROOT: Final = Path(__file__).parents[3]
FOLDER: Final = ROOT / "deploy" / "prometheus"
RULES: Final = FOLDER / "accord.rules.yml"
TESTS: Final = FOLDER / "accord.rules.test.yml"
UNPACKED: Final = ROOT / ".tools" / "prometheus" / "usr" / "bin" / "promtool"


@cache
def _read(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text())


def _rules() -> list[dict[str, Any]]:
    return [rule for group in _read(RULES)["groups"] for rule in group["rules"]]


def _alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in _rules() if "alert" in rule}


def _promtool(*arguments: str) -> None:
    found = shutil.which("promtool") or (str(UNPACKED) if UNPACKED.exists() else None)
    if found is None:
        why = "no promtool: install Debian's package prometheus, or run .ci/run once"
        if os.environ.get("ACCORD_REQUIRE_PROMTOOL") == "1":
            pytest.fail(why)
        pytest.skip(why)
    done = subprocess.run([found, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_the_rules_sound() -> None:
    _promtool("check", "rules", RULES.name)


def test_each_alert_fires_when_it_should_and_is_silent_when_it_nearly_should() -> None:
    _promtool("test", "rules", TESTS.name)


def test_promtool_finds_the_configuration_sound() -> None:
    _promtool("check", "config", "--syntax-only", "prometheus.yml")


@pytest.mark.parametrize("rule", _rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_names_only_what_is_exported_or_recorded(rule: dict[str, Any]) -> None:
    recorded = {one["record"] for one in _rules() if "record" in one}
    assert set(unknown_in(rule["expr"])) == set()
    assert set(re.findall(r"\b[a-z_]+:[a-z0-9_]+:[a-z0-9_]+", rule["expr"])) <= recorded


@pytest.mark.parametrize("name", _alerts())
def test_an_alert_says_how_bad_it_is_and_what_to_do(name: str) -> None:
    alert = _alerts()[name]
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    page, _, anchor = alert["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor == name.lower()
    assert name in headings, f"{page} has no heading {name}"


@pytest.mark.parametrize("name", _alerts())
def test_an_alert_is_tested_both_ways_and_fires_with_the_labels_that_its_words_use(name: str) -> None:
    silent = fired = False
    for test in _read(TESTS)["tests"]:
        for check in test["promql_expr_test"]:
            if f'alertname="{name}"' not in check["expr"]:
                continue
            silent |= not check["exp_samples"] and check["expr"].startswith("count_over_time")
            for sample in check["exp_samples"]:
                fired = True
                words = " ".join(_alerts()[name]["annotations"].values())
                used = set(re.findall(r"\$labels\.(\w+)", words))
                assert used <= set(re.findall(r"(\w+)=", sample["labels"]))
    assert silent
    assert fired


def test_the_series_that_alerts_are_tested_with_are_as_the_code_exports_them() -> None:
    known = labels_by_name()
    for test in _read(TESTS)["tests"]:
        for series in test["input_series"]:
            name, _, labels = series["series"].partition("{")
            assert name == "up" or set(re.findall(r"(\w+)=", labels)) <= known[name], series["series"]
