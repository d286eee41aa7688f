"""How the whole suite is dealt out to workers (`make test`, pytest-xdist). Plain `pytest` takes no notice of it.

A worker takes a unit: the tests of a file, in their order, or of all the files that stand on one server, so that it is
started once and not by every worker. What takes long begins first, so that all workers end at about the same time.
"""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling

# Fixtures that start a server for the run, and the files (or folders of files) that ask for each.
SHARED: Final[Mapping[str, tuple[str, ...]]] = {
    "shared_accord": (
        "tests/e2e/pages/",
        "tests/e2e/test_access.py",
        "tests/e2e/test_bad_input.py",
        "tests/e2e/test_curl_lines.py",
        "tests/e2e/test_head.py",
        "tests/e2e/test_imports.py",
        "tests/e2e/test_ingest_schema.py",
        "tests/e2e/test_line.py",
        "tests/e2e/test_senders.py",
        "tests/e2e/test_sources.py",
        "tests/e2e/test_subscribe.py",
        "tests/e2e/test_tracing.py",
    ),
    "kafka": (
        "tests/contract/test_kafka_carrier.py",
        "tests/contract/test_kafka_only.py",
        "tests/contract/test_kafka_runner.py",
        "tests/integration/test_kafka_operations.py",
        "tests/integration/test_kafka_rig.py",
        "tests/integration/test_kafka_subscribers.py",
    ),
}
# Units of a minute or more, the longest first.
LONG: Final = (
    "kafka",
    "tests/e2e/test_kafka_chaos.py",
    "shared_accord",
    "tests/e2e/test_chaos.py",
    "tests/unit/scoring/test_engagement_reference.py",
    "tests/e2e/test_apart.py",
    "tests/e2e/test_demo.py",
    "tests/integration/test_embedded_postgres_users.py",
    "tests/e2e/test_accords.py",
    "tests/e2e/test_probes.py",
    "tests/e2e/test_audit.py",
    "tests/e2e/test_restore.py",
)


def unit_of(test: str) -> str:
    """The unit of a test, by the test's id."""
    file = test.partition("::")[0]
    return next((server for server, files in SHARED.items() if file.startswith(files)), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """xdist's own scheduler for units, with these units, in the order that the tests are in."""
    config.option.loadscopereorder = False
    scheduler = LoadScopeScheduling(config, log)
    # The one thing that xdist's own schedulers differ in.
    scheduler._split_scope = unit_of
    return scheduler


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    unit = unit_of(item.nodeid)
    return LONG.index(unit) if unit in LONG else len(LONG)
