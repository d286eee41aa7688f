"""The verdict as people and machines read it."""

import json
from datetime import UTC, datetime
from io import StringIO

from rich.console import Console

from services.audit.findings import MEANING, SHOWN_MAX, Check, Findings
from services.audit.report import first, print_report, to_json
from services.audit.run import Audit

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


def an_audit(**noted: int) -> Audit:
    findings = Findings()
    for check in Check:
        findings.saw(check, 1_000)
    for name, count in noted.items():
        for number in range(count):
            findings.note(Check(name), f"{name} {number}")
    findings.tally("accepted", 12)
    return Audit(findings, AT, in_flight={"stages": 3}, skipped={}, seconds=1.5)


def printed(audit: Audit) -> list[str]:
    out = StringIO()
    print_report(Console(file=out, width=80, highlight=False), audit)
    return out.getvalue().splitlines()


def test_a_clean_audit_is_one_line_per_check_and_a_verdict() -> None:
    lines = printed(an_audit())
    assert lines[-1] == "CLEAN: nothing lost, nothing counted twice"
    assert lines[-2] == "looked at 12 accepted, 0 leads, 0 clocks, 0 dead letters in 1.5 s"
    assert lines[-3] == "in flight, not read yet: stages 3; that is no difference"
    assert len(lines) == len(Check) + 5
    assert all(any(line.startswith(sentence) for line in lines) for sentence, _ in MEANING.values())


def test_some_differences_of_each_check_are_shown_and_the_rest_is_counted() -> None:
    audit = an_audit(scoring=500, clocks=2)
    lines = printed(audit)
    assert lines[-1] == "DIFFERENCES: 502 found"
    assert "- clocks 0" in lines
    assert "- clocks 1" in lines
    assert f"- and {502 - SHOWN_MAX} more" in lines
    assert len(first(audit)) == SHOWN_MAX


def test_machines_get_the_same() -> None:
    told = json.loads(json.dumps(to_json(an_audit(turns=1))))
    assert (told["clean"], told["in_flight"], told["counts"]) == (False, {"stages": 3}, {"accepted": 12})
    assert told["checks"]["turns"] == {"looked_at": 1_000, "differences": 1}
    assert told["first"] == [{"check": "turns", "difference": "turns 0"}]


def test_parts_add_up_and_keep_the_first_differences() -> None:
    together = Findings()
    for part in range(3):
        one = Findings()
        one.saw(Check.SCORING, 10)
        for number in range(15):
            one.note(Check.SCORING, f"{part}/{number}")
        together.add(one)
    assert (together.checked[Check.SCORING], together.differences[Check.SCORING]) == (30, 45)
    assert together.first[Check.SCORING][-1] == "1/4"
