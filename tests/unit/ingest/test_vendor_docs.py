"""Every vendor has its page: what to paste where, the types it makes, its settings, and what is not covered."""

import re
from pathlib import Path
from typing import Final

import pytest

from services.ingest.vendors import calendly, eventbrite, hubspot_events, mailchimp, pipedrive, surveymonkey
from services.ingest.vendors.registry import VENDORS
from services.ingest.vendors.source_settings import CrmOptions, SourceOptions

DOCS: Final = Path(__file__).parents[3] / "docs"
PAGES: Final = DOCS / "sources"
TYPES: Final[dict[str, set[str]]] = {
    "calendly": set(calendly.TYPES.values()),
    "eventbrite": set(eventbrite.TYPES.values()),
    "mailchimp": set(mailchimp.TYPES.values()),
    "surveymonkey": set(surveymonkey.TYPES.values()),
    "pipedrive": set(pipedrive.OUTCOMES.values()),
    "hubspot": {f"sales.{action}" for action in hubspot_events.STAGES.values()},
}


ROW: Final = re.compile(r"\| `(\w+)` \| [^|]*\w[^|]* \| \[(\w+)\]\(sources/(\w+)\.md\) \|")


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text()


@pytest.mark.parametrize("kind", VENDORS)
def test_a_page_says_what_to_paste_what_it_means_and_what_is_not_covered(kind: str) -> None:
    headings = {line for line in page(kind).splitlines() if line.startswith("## ")}
    assert headings >= {"## What to paste where", "## What becomes of it", "## Not covered"}


@pytest.mark.parametrize("kind", VENDORS)
def test_a_page_names_every_setting_and_every_type_of_its_vendors_table(kind: str) -> None:
    own = set(VENDORS[kind].settings.model_fields) - set(SourceOptions.model_fields)
    missing = [word for word in own | TYPES.get(kind, set()) if f"`{word}`" not in page(kind)]
    assert not missing


def test_the_common_page_names_every_common_setting() -> None:
    assert not [name for name in CrmOptions.model_fields if f"`{name}`" not in page("settings")]


def test_the_table_of_kinds_has_one_row_for_each_kind_there_is_with_its_page() -> None:
    section = (DOCS / "sources.md").read_text().partition("## What to paste where\n")[2].partition("\n## ")[0]
    head, line, *rows = [row for row in section.splitlines() if row.startswith("|")]
    assert (head.count("|"), set(line)) == (4, {"|", "-"})
    found = [ROW.fullmatch(row) for row in rows]
    assert None not in found
    assert [match.groups() for match in found if match] == [(kind, kind, kind) for kind in VENDORS]
