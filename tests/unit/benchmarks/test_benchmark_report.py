"""What the benchmark says about what it measured."""

from io import StringIO

from rich.console import Console

from benchmarks.burst import Burst
from benchmarks.contest import Turn
from benchmarks.latency import Latency
from benchmarks.line import LineRound
from benchmarks.ordinary import Ordinary
from benchmarks.recovery import Recovery
from benchmarks.report import HouseMeasured, Memory, contest_result, joined, line_result, recovery_result
from benchmarks.tables import print_result

SPREAD = {"p50_ms": 5.0, "p90_ms": 7.0, "p99_ms": 50.0, "max_ms": 60.0}


def a_round(per_second: float) -> LineRound:
    return LineRound(1_000, 80, 0.1, per_second, per_second, 0.2, 0.07, 0.09, 0.02, 10, 0, SPREAD)


def a_turn(name: str, per_second: float, cpu: float) -> Turn:
    return Turn(name, 1_000, 1.0, per_second, cpu, 0.0, 0.0, cpu)


def test_medians_ratios_and_targets_of_all_parts_stand_in_one_result() -> None:
    latency = Latency(300, 600, 60, SPREAD, SPREAD, SPREAD, {}, 0, 2.0)
    on_postgres = HouseMeasured(
        "on_postgres",
        lines=[a_round(rate) for rate in (7_000.0, 9_000.0, 8_000.0)],
        ordinary=[Ordinary(200.0, 3.0, 1.0)],
        ceiling=[200_000.0],
        latency=latency,
        latency_at_rest=latency,
        memory=Memory(2**20, 2**21),
        burst=None,
    )
    burst = Burst(1_000, 0.1, 1.0, [(0.0, 1_000, 0, 0), (1.0, 0, 0, 0)])
    on_kafka = on_postgres._replace(name="on_kafka", lines=[a_round(4_000.0)], ordinary=[], ceiling=[], burst=burst)
    turns = [a_turn("accord", 9_000.0, 0.2), a_turn("quick", 18_000.0, 0.3), a_turn("cheap", 100.0, 0.1)]
    recovery = [Recovery(1, 1_000, 10, 9.5, 9_500)]
    machine = {"warnings": ["the machine was busy"]}

    result = joined([machine, line_result([on_postgres, on_kafka]), recovery_result(recovery), contest_result(turns)])

    assert result["ratios"] == {
        "on_postgres_to_ordinary": 40.0,
        "on_kafka_to_ordinary": 20.0,
        "on_postgres_to_ceiling": 0.04,
        "on_kafka_to_ceiling": 0.02,
        "on_kafka_to_on_postgres": 0.5,
        "scoring_to_best_rival": 0.5,
        "scoring_cpu_to_best_rival": 2.0,
    }
    met = {target["name"]: target["is_met"] for target in result["targets"]}
    assert met == {
        "line on Postgres, times the ordinary way": True,
        "line on Postgres, activities/s": True,
        "webhook to qualified on Postgres right after the rounds, p99 ms": False,
        "webhook to qualified on Kafka right after the rounds, p99 ms": True,
        "webhook to qualified on Postgres at rest, p99 ms": False,
        "webhook to qualified on Kafka at rest, p99 ms": True,
        "scoring, times the best rival (quick)": False,
        "CPU per activity, times the least of a rival (cheap)": False,
    }
    said = StringIO()
    print_result(Console(file=said, width=120), result)
    assert "the machine was busy" in said.getvalue()
    assert "session timeout 10 s" in said.getvalue()
