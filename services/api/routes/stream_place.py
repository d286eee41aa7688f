"""Where a reader of the stream stands: one number for each partition, since each is written in its own order. As the
`id` of an event it is text: the lowest number, then how far above it each partition is (0: nothing of it yet). Pure."""

import base64
import binascii
from collections.abc import Sequence

Place = tuple[int, ...]

_NUMBER_BITS_MAX = 63


class InvalidPlace(ValueError):
    """The id is not one of this stream."""


def write(place: Sequence[int]) -> str:
    """Short, because it goes with every event: partitions share one sequence, so their numbers lie close together."""
    lowest = min((number for number in place if number), default=0)
    encoded = bytearray()
    for number in (lowest, *(number - lowest + 1 if number else 0 for number in place)):
        while number > 0x7F:
            encoded.append(number & 0x7F | 0x80)
            number >>= 7
        encoded.append(number)
    return base64.urlsafe_b64encode(encoded).rstrip(b"=").decode()


def read(text: str, partitions: int) -> Place:
    """What `write` wrote for so many partitions. Raises InvalidPlace."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        lowest, *above = _numbers(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise InvalidPlace("is not the id of an event of this stream") from None
    if len(above) != partitions:
        raise InvalidPlace("is not the id of an event of this stream")
    return tuple(lowest + number - 1 if number else 0 for number in above)


def _numbers(encoded: bytes) -> list[int]:
    numbers, value, shift = [], 0, 0
    for byte in encoded:
        value |= (byte & 0x7F) << shift
        shift += 7
        if value.bit_length() > _NUMBER_BITS_MAX or shift > _NUMBER_BITS_MAX + 7:
            raise ValueError("too long")
        if byte < 0x80:
            numbers.append(value)
            value, shift = 0, 0
    if shift or not numbers:
        raise ValueError("cut off")
    return numbers
