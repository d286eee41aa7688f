"""The OpenAPI and AsyncAPI documents are what the tools of others accept: Redocly's linter, AsyncAPI's parser.

`.ci/run` installs both into `.tools/npm`; ACCORD_REQUIRE_NPM_CHECKS=1 makes a missing one a failure.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from services.reference.calls import openapi

ROOT: Final = Path(__file__).parents[3]
TOOLS: Final = ROOT / ".tools" / "npm" / "node_modules"
PARSE: Final = """
const { Parser } = require(process.argv[1]);
new Parser().parse(require("fs").readFileSync(0, "utf8")).then(({ document, diagnostics }) => {
  const heard = diagnostics.filter(({ severity }) => severity <= 1); // errors and warnings, no advice
  for (const { message, path } of heard) console.log(`${path.join(".")}: ${message}`);
  console.log(`channels: ${document === undefined ? 0 : document.channels().all().length}`);
});
"""


def _tool(name: str) -> str:
    path = TOOLS / name
    if path.exists():
        return str(path)
    why = f"no {name}: .ci/run installs it with npm into .tools/npm"
    if os.environ.get("ACCORD_REQUIRE_NPM_CHECKS") == "1":
        pytest.fail(why)
    pytest.skip(why)


def _run(command: list[str], given: str = "") -> str:
    environment = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "CI": "1"}
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_redoclys_linter_finds_nothing_to_say_about_the_calls(tmp_path: Path) -> None:
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(openapi()))
    # This project has no licence whose address the document could name.
    command = [_tool(".bin/redocly"), "lint", "--skip-rule=info-license-strict", "--format=json", str(path)]
    assert json.loads(_run(command))["problems"] == []


def test_asyncapis_parser_reads_every_topic_without_a_word() -> None:
    parser = _tool("@asyncapi/parser")
    text = (ROOT / "docs" / "asyncapi.json").read_text(encoding="utf-8")
    said = _run(["node", "-e", PARSE, parser], text)
    assert said.splitlines() == [f"channels: {len(json.loads(text)['channels'])}"]


def test_asyncapis_parser_does_object_to_what_is_wrong() -> None:
    parser = _tool("@asyncapi/parser")
    document = json.loads((ROOT / "docs" / "asyncapi.json").read_text(encoding="utf-8"))
    del document["info"]["title"]
    said = _run(["node", "-e", PARSE, parser], json.dumps(document))
    assert "title" in said
    assert said.endswith("channels: 0\n")
