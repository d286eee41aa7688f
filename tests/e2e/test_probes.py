"""The whole API asked by a machine and by people who mean no good: never a 5xx, and nothing internal in a refusal."""

import asyncio
import json
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from running_accord import ADMIN_KEY, RunningAccord, start_accord

from services.demo.settings import ACCORD

# But for `positive_data_acceptance`: that a cursor is one that a list gave, no schema can say.
CHECKS = ("-c", "all", "--exclude-checks", "positive_data_acceptance")
# A stream of events does not end; and it would revoke the key that it calls with.
LEFT_OUT = ("--exclude-path", "/v1/stream", "--exclude-path-regex", "^/v1/keys/.")
INTERNAL = ("Traceback", "asyncpg", "sqlalchemy", 'File "', "psycopg", "SELECT ", "site-packages")


@pytest.fixture(scope="module")
def probed_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="accord-probes-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def probed(probed_folder: Path) -> AsyncIterator[RunningAccord]:
    """An Accord of its own: what a machine makes up is posted to it."""
    accord = await start_accord(probed_folder, ACCORD)
    yield accord
    accord.process.stop()


async def test_no_call_made_up_from_the_document_breaks_it(probed: RunningAccord) -> None:
    await schemathesis(probed, "--phases", "examples,fuzzing", "--max-examples", "4", *LEFT_OUT)


# What is made, changed, rotated, asked and deleted, and for how long. Keys are left out: it would revoke its own. An
# owner who is gone is still shown, as the accord names them and leads were theirs.
ROWS_OF_CALLS = {
    "^/v1/(sources|subscriptions|accords)": ("40", ()),
    "^/v1/owners": ("12", ("--exclude-checks", "positive_data_acceptance,use_after_free")),
}


async def test_no_row_of_calls_that_follow_from_each_other_breaks_it(probed: RunningAccord) -> None:
    for paths, (seconds_max, more) in ROWS_OF_CALLS.items():
        bounds = ("--phases", "stateful", "--max-examples", "30", "--max-time", seconds_max)
        await schemathesis(probed, *bounds, "--include-path-regex", paths, *more)


async def schemathesis(probed: RunningAccord, *options: str) -> None:
    """Its own seed is fixed; how far it comes within a time is not."""
    tool = Path(sys.executable).with_name("schemathesis")
    process = await asyncio.create_subprocess_exec(
        *(str(tool), "run", f"{probed.url}/openapi.json", "-H", f"Authorization: Bearer {ADMIN_KEY}"),
        *("--seed", "1", "--no-color", *CHECKS),
        *("--suppress-health-check", "all", "--generation-database", "none", *options),
        cwd=probed.process.log.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said[-6_000:]
    assert re.search(r"\b[1-9]\d* generated", said), said[-6_000:]
    assert "request_failed" not in probed.logged()


PROBES: tuple[tuple[str, str, dict[str, str], bytes | None], ...] = (
    ("GET", "/v1/nothing", {}, None),
    ("GET", "/v1/leads/%00", {}, None),
    ("GET", "/v1/leads/..%2f..%2fetc%2fpasswd", {}, None),
    ("GET", "/v1/leads/' OR '1'='1", {}, None),
    ("GET", "/v1/leads?q=%27%3B%20DROP%20TABLE%20scoring.leads%3B--", {}, None),
    ("GET", "/v1/leads?q=%F0%9F%A6%84%25%5F%5C", {}, None),
    ("GET", "/v1/leads?cursor=AAAA", {}, None),
    ("GET", "/v1/leads?cursor=WyJsZWFkcy9maXQiLCAxZTk5OSwgInginXQ", {}, None),
    ("GET", "/v1/leads?limit=501", {}, None),
    ("GET", "/v1/leads?limit=-1", {}, None),
    ("GET", "/v1/leads?sort=engagement;DROP", {}, None),
    ("GET", "/v1/leads?min_engagement=nan", {}, None),
    ("GET", "/v1/clocks?state=open'--", {}, None),
    ("GET", "/v1/funnel?by=owner)--", {}, None),
    ("GET", "/v1/funnel?from=0001-01-01T00:00:00Z&to=0001-01-02T00:00:00Z", {}, None),
    ("GET", "/v1/audit-log?subject=%00", {}, None),
    ("PUT", "/v1/leads", {}, b"{}"),
    ("PATCH", "/v1/leads", {}, b"{}"),
    ("POST", "/v1/keys", {"content-type": "text/xml"}, b"<a/>"),
    ("POST", "/v1/keys", {}, b""),
    ("POST", "/v1/keys", {}, b"\xff\xfe"),
    ("POST", "/v1/keys", {}, b"[" * 100_000),
    ("POST", "/v1/keys", {}, b'{"name": "\\u0000", "role": "sales", "scopes": []}'),
    ("POST", "/v1/keys", {}, b'{"name": "a", "name": "b", "role": "sales", "scopes": []}'),
    ("POST", "/v1/keys", {"idempotency-key": "x" * 300}, b'{"name": "a", "role": "sales", "scopes": []}'),
    ("POST", "/v1/leads/nobody@x.example/actions", {"prefer": "wait=99999999999999"}, b'{"action": "accepted"}'),
)


async def test_every_refusal_is_a_problem_that_says_nothing_internal(
    probed: RunningAccord, session: aiohttp.ClientSession
) -> None:
    for method, path, headers, body in PROBES:
        given = {"authorization": f"Bearer {ADMIN_KEY}", "content-type": "application/json", **headers}
        async with session.request(method, f"{probed.url}{path}", headers=given, data=body) as answer:
            text = await answer.text()
            assert answer.status < 500, (path, text)
            assert not any(word in text for word in INTERNAL), (path, text)
            if answer.status >= 400:
                assert answer.content_type == "application/problem+json", (method, path)
                problem = json.loads(text)
                assert problem["status"] == answer.status
                assert {"type", "title", "detail", "instance"} <= problem.keys(), path
    for header in ("Bearer " + "a" * 9_000, "Bearer eyJhbGciOiJub25lIn0.e30.", "Digest x"):
        async with session.get(f"{probed.url}/v1/leads", headers={"authorization": header}) as answer:
            assert answer.status in (400, 401), header
            text = await answer.text()
            assert not any(word in text for word in INTERNAL)


async def test_a_slash_too_many_is_not_found_and_nobody_is_sent_elsewhere_with_his_key(
    probed: RunningAccord, session: aiohttp.ClientSession
) -> None:
    for method, path in (("GET", "/v1/leads/"), ("POST", "/v1/events/"), ("GET", "/readyz/"), ("GET", "//v1/leads")):
        given = {"authorization": f"Bearer {ADMIN_KEY}"}
        async with session.request(method, f"{probed.url}{path}", headers=given, allow_redirects=False) as answer:
            assert (answer.status, answer.content_type) == (404, "application/problem+json"), path


async def test_the_page_about_the_calls_needs_nothing_from_elsewhere(
    probed: RunningAccord, session: aiohttp.ClientSession
) -> None:
    async with session.get(f"{probed.url}/docs") as answer:
        page = await answer.text()
    assert answer.status == 200
    assert "//" not in page.replace("</", "").replace("<!doctype", ""), "no address of anything"
    assert "openapi.json" in page
