"""The partition of a key is the one that every Kafka producer chooses."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events.topics import murmur2, partition_of

# org.apache.kafka.common.utils.UtilsTest.testMurmur2, as signed numbers.
PUBLISHED = [
    (b"21", -973932308),
    (b"foobar", -790332482),
    (b"a-little-bit-long-string", -985981536),
    (b"a-little-bit-longer-string", -1486304829),
    (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    (b"abc", 479470107),
]


@pytest.mark.parametrize(("data", "published"), PUBLISHED)
def test_murmur2_is_kafkas(data: bytes, published: int) -> None:
    assert murmur2(data) == published % 2**32


def test_a_key_is_hashed_as_36_lower_case_characters() -> None:
    key = UUID("A3BB189E-8BF9-3888-9912-ACE4E6543002")
    assert partition_of(key, 12) == (murmur2(b"a3bb189e-8bf9-3888-9912-ace4e6543002") & 0x7FFFFFFF) % 12


@given(st.uuids(), st.integers(1, 1_024))
def test_every_key_has_a_partition(key: UUID, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions
