"""The one list of topics, of who reads them, and of the partition of a key."""

from functools import lru_cache
from typing import Final
from uuid import UUID

ACTIVITY: Final = "accord.activity.v1"
SALES: Final = "accord.sales.v1"
SCORE: Final = "accord.score.v1"
LIFECYCLE: Final = "accord.lifecycle.v1"
SLA: Final = "accord.sla.v1"
DEAD_LETTER: Final = "accord.dead-letter.v1"

TOPICS: Final = (ACTIVITY, SALES, SCORE, LIFECYCLE, SLA, DEAD_LETTER)

# Which service reads which topics. The log keeps an event until every reader listed here has read it.
READERS: Final[dict[str, tuple[str, ...]]] = {
    "scoring": (ACTIVITY,),
    "stages": (SCORE, SALES),
    "sla-monitor": (LIFECYCLE,),
    "delivery": (LIFECYCLE, SLA),
}


def murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2 with its fixed seed; the partition of a key is (murmur2 & 0x7fffffff) % partitions.

    Source: org.apache.kafka.common.utils.Utils.murmur2.
    """
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    length = len(data)
    h = (0x9747B28C ^ length) & mask
    for i in range(0, length - 3, 4):
        k = (int.from_bytes(data[i : i + 4], "little") * m) & mask
        h = ((h * m) & mask) ^ (((k ^ (k >> 24)) * m) & mask)
    tail = data[length & ~3 :]
    if tail:
        h = ((h ^ int.from_bytes(tail, "little")) * m) & mask
    h = ((h ^ (h >> 13)) * m) & mask
    return h ^ (h >> 15)


def partition_of(key: UUID, partitions: int) -> int:
    """The partition of a lead: the same on both carriers, and the one that any Kafka producer would choose."""
    return _partition_of(key.int, partitions)


# By the number of a key: to hash and to compare UUIDs themselves is Python, and every event of the line has a key.
@lru_cache(maxsize=262_144)
def _partition_of(key: int, partitions: int) -> int:
    return (murmur2(str(UUID(int=key)).encode()) & 0x7FFFFFFF) % partitions
