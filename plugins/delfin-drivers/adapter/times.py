"""Times of drivers: milliseconds, seconds, texts, and nothing at all."""

from __future__ import annotations

from typing import Any, Optional

#: A number in this range can only be a time in seconds. As milliseconds it would be in early 1970.
_SECONDS = range(100_000_000, 4_294_967_296)
#: The year 2000.
_EARLIEST = 946_684_800_000
_DAY = 86_400_000
#: The end of the year 9999, where times of the host end.
_LATEST = 253_402_300_799_999


def read(time: Any) -> Optional[int]:
    """Milliseconds since the Unix epoch; `None` if it is no time of the host."""
    try:
        number = int(float(time))
    except (TypeError, ValueError, OverflowError):
        return None
    number = number * 1000 if number in _SECONDS else number
    return number if 0 <= number <= _LATEST else None


def plausible(time: Any, now_ms: int) -> Optional[int]:
    """The same, and `None` if it is before the year 2000 or more than a day ahead."""
    number = read(time)
    if number is None or not _EARLIEST <= number <= now_ms + _DAY:
        return None
    return number
