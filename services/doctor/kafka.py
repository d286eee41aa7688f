"""What the doctor asks of Kafka: does it answer, do the topics fit, does it agree with Postgres on what was sent."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.doctor.finding import Finding, failed, ok, warning
from shared.errors import Surroundings
from shared.stream import kafka_topics
from shared.stream.kafka_client import KafkaClients
from shared.stream.kafka_places import Extent, Numbers, Place, extents, last_numbers
from shared.stream.kafka_topics import Topic
from shared.stream.operations import numbers_given, offsets_read, partitions_of
from shared.stream.trim import RETENTION

REPLICATION_WANTED: Final = 3
# How much of the end of each partition is read for its numbers.
TAIL_EVENTS: Final = 500


async def check_kafka(connection: Any, clients: KafkaClients, *, prefix: str = "") -> Sequence[Finding]:
    """Every check that can be made; without the brokers it is one."""
    partitions = await partitions_of(connection)
    address = clients.settings.kafka
    try:
        topics = await kafka_topics.describe_topics(clients, prefix=prefix)
        found = [ok("kafka", f"{address} answers"), fitting(topics, partitions, f"{address}")]
        if len(topics) < len(RETENTION) or any(topic.partitions != partitions for topic in topics.values()):
            return found
        positions = await offsets_read(connection)  # before the ends, which move meanwhile
        there = await extents(clients, partitions, prefix=prefix)
        tails = {place: Extent(max(at.first, at.end - TAIL_EVENTS), at.end) for place, at in there.items()}
        numbers = await last_numbers(clients, tails, prefix=prefix)
        given = await numbers_given(connection)
    except Surroundings as error:
        command = f"kafka-broker-api-versions.sh --bootstrap-server {address}"
        return [failed("kafka", str(error), f"check ACCORD_KAFKA and its security settings, then: {command}")]
    return [*found, in_range(positions, there), in_step(given, numbers)]


def fitting(topics: Mapping[str, Topic], partitions: int, address: str) -> Finding:
    """Of the topics' partitions, copies and retention."""
    if missing := [name for name in RETENTION if name not in topics]:
        return failed("topics", f"missing: {', '.join(missing)}", "accord migrate")
    if wrong := [f"{name} has {one.partitions}" for name, one in topics.items() if one.partitions != partitions]:
        fix = "the number of partitions is fixed: name the right Kafka, or delete the wrong topics and: accord migrate"
        return failed("topics", f"{', '.join(wrong)} partitions, not {partitions}", fix)
    configure = f"kafka-configs.sh --bootstrap-server {address} --alter --entity-type topics"
    for name, topic in topics.items():
        if topic.retention is not None and topic.retention < RETENTION[name]:
            wanted = int(RETENTION[name].total_seconds() * 1_000)
            fix = f"{configure} --entity-name {topic.name} --add-config retention.ms={wanted}"
            return warning("topics", f"{name} keeps {topic.retention}, less than {RETENTION[name]}", fix)
        if topic.replication >= REPLICATION_WANTED and topic.min_in_sync < 2:
            fix = f"{configure} --entity-name {topic.name} --add-config min.insync.replicas=2"
            return warning("topics", f"{name} acknowledges what one broker has", fix)
    copies = min(topic.replication for topic in topics.values())
    if copies < REPLICATION_WANTED:
        fix = f"run three brokers, then: kafka-reassign-partitions.sh --bootstrap-server {address}"
        return warning("topics", f"every event lies on {copies} broker{'s' * (copies > 1)}", fix)
    return ok("topics", f"{len(topics)} topics of {partitions} partitions, {copies} copies")


def in_range(positions: Mapping[tuple[str, int, str], int], there: Mapping[Place, Extent]) -> Finding:
    """Of what readers must read next, beside what the brokers have."""
    gone = [
        (service, number, f"{service}/{number} must read {topic} from {offset}, Kafka has {at.first} to {at.end}")
        for (service, number, topic), offset in positions.items()
        if not (at := there[topic, number]).first <= offset <= at.end
    ]
    if not gone:
        return ok("offsets", "Kafka has all that is to be read")
    commands = "; ".join(dict.fromkeys(f"accord skip {service} {number}" for service, number, _ in gone))
    return failed("offsets", "; ".join(what for *_, what in gone), f"read docs/operations.md first, then: {commands}")


def in_step(given: Mapping[tuple[str, str, int], int], found: Numbers) -> Finding:
    """Of the numbers that Postgres has given, beside those that lie on Kafka."""
    ahead = {of: seq for of, seq in found.items() if seq > given.get(of, 0)}
    if not ahead:
        return ok("numbers", "Postgres has given every number that lies on Kafka")
    shown = ", ".join(f"{emitter} on {topic}/{number}" for emitter, topic, number in list(ahead)[:3])
    what = f"Postgres is older than Kafka ({shown}): numbers would be given twice, and what has them dropped"
    return failed("numbers", what, "stop every process, then: accord renumber")
