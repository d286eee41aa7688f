"""docs/subscribe.md: a plain confluent-kafka consumer reads the line's events from a real broker, and goes on where it
left off."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from uuid import uuid5

from aiokafka import AIOKafkaProducer
from builders import NOON, lead_in
from documented_code import program
from kafka_topics import fresh_prefix, fresh_topics
from patience import within
from sla_builders import NAMES, stage_changed

from shared.events import codec
from shared.events.base import LeadSnapshot
from shared.events.lifecycle import LeadQualified
from shared.events.topics import LIFECYCLE
from shared.stream.kafka_codec import headers_of, key_of

# A killed consumer stays in its group for its session of 45 s, and nobody else gets its partitions before.
SECONDS = 150


async def read_until(file: Path, bootstrap: str, group: str, wanted: set[str]) -> list[str]:
    """What the program prints until it has printed all of these; it is then killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(file), bootstrap, group, stdout=PIPE, env={**os.environ}
    )
    assert process.stdout is not None
    printed: list[str] = []
    try:
        async with within(SECONDS):
            while not wanted <= set(printed):
                line = await process.stdout.readline()
                assert line, f"the program ended after {printed}"
                printed.append(line.decode().strip())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    return printed


async def test_the_consumer_of_the_page_reads_qualified_leads(kafka: str, tmp_path: Path) -> None:
    prefix = fresh_prefix()
    async with fresh_topics(kafka, [f"{prefix}{LIFECYCLE}"]) as (topic,):
        (tmp_path / "consume.py").write_text(program("subscribe.md", "consume.py").replace(LIFECYCLE, topic))
        producer = AIOKafkaProducer(bootstrap_servers=kafka)
        await producer.start()

        async def tell(number: int) -> str:
            """A change of stage, and then a qualified lead; what the program is to print of it."""
            lead_id, email = lead_in(number % 4), f"ann{number}@acme.example"
            qualified = LeadQualified(
                lead_id=lead_id,
                version=1,
                engagement=60.0,
                fit=30,
                grade="A",
                occurred_at=NOON,
                lead=LeadSnapshot(email=email),
            )
            id_ = uuid5(NAMES, email)
            for seq, payload in enumerate((stage_changed(NOON, lead_id=lead_id), qualified), 2 * number + 1):
                event = codec.event(payload, id=id_, time=NOON, received_at=NOON, accord=1)
                headers = headers_of(event, f"stages/{number % 4}", seq)
                await producer.send_and_wait(topic, event.value, key_of(event), number % 4, headers=headers)
            return f"{id_} {lead_id} {email}"

        try:
            told = [await tell(number) for number in range(4)]
            printed = await read_until(tmp_path / "consume.py", kafka, f"{prefix}crm", set(told))
            assert sorted(printed) == sorted(told)
            # Each was committed but perhaps the last, which may come again.
            later = await tell(4)
            again = await read_until(tmp_path / "consume.py", kafka, f"{prefix}crm", {later})
            assert again in ([later], [printed[-1], later], [later, printed[-1]])
        finally:
            await producer.stop()
