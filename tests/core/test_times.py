"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from blackroad_nb.core.times import read_moment
from blackroad_nb.errors import InvalidInput

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T12:30", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
        ("2026-01-31T12:30:00Z", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
        ("2026-01-31T12:30:00+02:00", datetime(2026, 1, 31, 10, 30, tzinfo=UTC)),
        ("7d", datetime(2026, 2, 22, 11, tzinfo=UTC)),
        ("90m", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("0s", datetime(2026, 3, 1, 11, tzinfo=UTC)),
    ],
)
def test_a_time_or_an_age_is_read_in_utc(text, expected):
    read = read_moment(text, NOW)
    assert (read, read.utcoffset()) == (expected, timedelta(0))


@pytest.mark.parametrize(
    "text",
    ["", "d", "yesterday", "1.5h", "-1d", "99999999999d", "0000-01-01", "9999-12-31T23:59-12:00"],
)
def test_other_words_are_refused_with_examples(text):
    with pytest.raises(InvalidInput, match="7d"):
        read_moment(text, NOW)
