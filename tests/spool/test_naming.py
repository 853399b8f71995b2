from __future__ import annotations

import calendar

from hypothesis import given
from hypothesis import strategies as st

from haulyard.spool.naming import Given, parse, variants

NOON = calendar.timegm((2025, 7, 29, 12, 0, 0))


def test_a_name_is_the_moment_in_utc_and_a_counter_where_two_fall_into_a_second() -> None:
    known = Given()
    names = []
    for now in (NOON, NOON + 0.9, NOON + 1, NOON + 1):
        name, known = known.next(now)
        names.append(name)
    assert names == ["20250729_120000", "20250729_120000-1", "20250729_120001", "20250729_120001-1"]


def test_a_clock_that_steps_back_over_midnight_keeps_its_date_and_gives_no_name_again() -> None:
    midnight = calendar.timegm((2025, 7, 30, 0, 0, 0))
    known = Given()
    names = []
    for now in (midnight - 1, midnight, midnight, midnight - 1, midnight - 1, midnight):
        name, known = known.next(now)
        names.append(name)
    assert len(set(names)) == len(names)
    assert [name[:8] for name in names] == [
        *("20250729", "20250730", "20250730", "20250729", "20250729", "20250730")
    ]


@given(st.lists(st.integers(min_value=0, max_value=6), max_size=60))
def test_no_walk_of_the_clock_gives_a_name_twice(seconds: list[int]) -> None:
    known = Given()
    names = []
    for second in seconds:
        name, known = known.next(NOON + second)
        names.append(name)
    assert len(set(names)) == len(names)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12),
    st.lists(st.integers(0, 5), max_size=20),
)
def test_files_that_are_there_are_given_names(found: list[tuple[int, int]], seconds: list[int]) -> None:
    there = {f"20250729_12000{second}" + (f"-{number}" if number else "") for second, number in found}
    known = Given().with_names(f"{each}.xml" for each in there)
    for second in seconds:
        name, known = known.next(NOON + second)
        assert name not in there
        there.add(name)


def test_only_our_own_names_are_understood() -> None:
    named = parse("20250729_120000-12.xml.gz.active")
    assert named is not None
    assert (named.second, named.number, named.form, named.compress) == (NOON, 12, "xml", "gzip")
    assert parse("20250729_120000.json.zst") is not None
    for name in ("20250732_120000.xml", "20250729_120000.csv", "events.active", "20250729_120000-0.xml", ""):
        assert parse(name) is None
    assert all(parse(name) for name in variants("20250729_120000-3"))
