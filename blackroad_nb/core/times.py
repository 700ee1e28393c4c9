"""Times as people write them, the same on the command line and over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from blackroad_nb.errors import InvalidInput

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def read_moment(text: str, now: datetime) -> datetime:
    """Read a time: ISO 8601 (UTC when it names no zone), or an age such as `7d`.

    Raises:
        InvalidInput: it is neither.
    """
    try:
        if text[:-1].isdecimal() and text[-1] in _UNITS:
            return now.astimezone(UTC) - timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
        value = datetime.fromisoformat(text)
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{text[:40]!r} is no time; give a date such as 2026-01-31, a time such as"
            " 2026-11-01T09:30:00Z, or an age such as 7d."
        ) from None
