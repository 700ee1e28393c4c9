"""Cursors and queries, as tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackroad_nb.core.history import (
    HistoryQuery,
    check_query,
    place_after,
    read_place,
)
from blackroad_nb.errors import InvalidInput


@given(st.datetimes(timezones=st.just(UTC)), st.text(max_size=20))
def test_a_cursor_leads_back_to_its_place(moment, name):
    assert read_place(place_after(moment, name)) == (moment, name)


@pytest.mark.parametrize(
    "cursor", ["", ".", "x.y", "1", "1,a", "9" * 20 + ".a", "\N{FULLWIDTH DIGIT ONE}.a", "1e5.a"]
)
def test_a_cursor_that_no_page_gave_is_refused(cursor):
    with pytest.raises(InvalidInput):
        read_place(cursor)


def test_a_good_query_passes_as_it_is():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    query = HistoryQuery(text="x", since=now, until=now - timedelta(days=1), cursor=0, limit=1000)
    assert check_query(query) is query
