from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import ConfigError, StoreError
from haulyard.models import ByteRange
from haulyard.stores.base import Capabilities
from haulyard.transfer.parts import (
    DEFAULT_PART_SIZE,
    MIB,
    S3_LIMITS,
    PartPlan,
    check_part_size,
    fits_one_put,
    plan_parts,
    ranges,
)

GIB = 1024 * MIB
LARGEST = S3_LIMITS.max_parts * S3_LIMITS.max_part_size


@given(size=st.integers(0, LARGEST))
def test_every_size_up_to_the_largest_object_is_cut_within_the_limits(size: int) -> None:
    plan = plan_parts(size)
    assert 1 <= plan.count <= S3_LIMITS.max_parts
    assert DEFAULT_PART_SIZE <= plan.part_size <= S3_LIMITS.max_part_size
    assert plan.part_size % MIB == 0
    assert (plan.count - 1) * plan.part_size < max(size, 1) <= max(plan.count * plan.part_size, 1)


@given(size=st.integers(0, 100_000), part_size=st.integers(1, 5_000), max_parts=st.integers(1, 10_000))
def test_ranges_cover_the_object_without_gap_or_overlap(size: int, part_size: int, max_parts: int) -> None:
    limits = Capabilities(min_part_size=1, max_part_size=5_000, max_parts=max_parts)
    try:
        plan = plan_parts(size, part_size, limits)
    except (ConfigError, StoreError):
        assert size > part_size * max_parts
        return
    cut = list(ranges(plan))
    assert cut[0].start == 0
    assert cut[-1].end == size
    assert all(before.end == after.start for before, after in pairwise(cut))
    assert all(each.end is not None and each.end - each.start == part_size for each in cut[:-1])
    assert len(cut) == plan.count <= max_parts


@given(size=st.integers(1, LARGEST))
def test_a_chosen_part_size_is_the_smallest_that_will_do(size: int) -> None:
    plan = plan_parts(size)
    if plan.part_size > DEFAULT_PART_SIZE:
        assert -(-size // (plan.part_size - MIB)) > S3_LIMITS.max_parts


def test_parts_of_eight_mib_end_at_78_gib() -> None:
    last = 10_000 * 8 * MIB
    assert plan_parts(last) == PartPlan(last, 8 * MIB, 10_000)
    assert plan_parts(last + 1).part_size == 9 * MIB


def test_the_largest_object_has_ten_thousand_parts_of_five_gib() -> None:
    assert plan_parts(LARGEST) == PartPlan(LARGEST, 5 * GIB, 10_000)


def test_an_object_beyond_the_largest_is_refused() -> None:
    with pytest.raises(StoreError, match="max_parts 10000 of max_part_size 5368709120"):
        plan_parts(LARGEST + 1)
    with pytest.raises(StoreError):
        plan_parts(LARGEST + 1, 5 * GIB)


def test_an_empty_object_is_one_empty_part() -> None:
    assert list(ranges(plan_parts(0))) == [ByteRange(0, 0)]


def test_a_part_size_that_was_asked_for_is_kept_to_the_byte() -> None:
    assert plan_parts(30_000_001, 10_000_000) == PartPlan(30_000_001, 10_000_000, 4)


def test_a_preferred_part_size_still_scales() -> None:
    assert plan_parts(5 * GIB, preferred=64 * MIB).part_size == 64 * MIB
    assert plan_parts(2000 * GIB, preferred=64 * MIB).part_size == 205 * MIB


@pytest.mark.parametrize(
    ("part_size", "limit", "remedy"),
    [(5 * MIB - 1, "min_part_size", "5MiB or more"), (5 * GIB + 1, "max_part_size", "5120MiB or less")],
)
def test_an_impossible_part_size_names_its_limit(part_size: int, limit: str, remedy: str) -> None:
    with pytest.raises(ConfigError, match=limit) as caught:
        check_part_size(part_size)
    assert remedy in caught.value.hint


def test_a_part_size_too_small_for_the_object_names_the_smallest_that_works() -> None:
    with pytest.raises(ConfigError, match=r"20480 parts.*max_parts") as caught:
        plan_parts(100 * GIB, 5 * MIB)
    assert "11MiB or more" in caught.value.hint
    assert plan_parts(100 * GIB, 11 * MIB).count <= 10_000


def test_no_part_size_leaves_the_choice() -> None:
    check_part_size(0)


def test_parts_are_numbered_from_one() -> None:
    plan = plan_parts(20 * MIB)
    assert [plan.range(number) for number in (1, 2, 3)] == list(ranges(plan))
    for number in (0, 4):
        with pytest.raises(IndexError):
            plan.range(number)


def test_a_negative_size_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="-1 bytes"):
        plan_parts(-1)


def test_one_put_takes_what_is_no_larger_than_one_part() -> None:
    s3 = Capabilities(multipart=True)
    assert fits_one_put(0, 0, s3)
    assert fits_one_put(8 * MIB, 0, s3)
    assert not fits_one_put(8 * MIB + 1, 0, s3)
    assert fits_one_put(64 * MIB, 64 * MIB, s3)
    assert not fits_one_put(6 * MIB, 5 * MIB, s3)


def test_a_store_without_multipart_takes_everything_up_to_its_largest_put() -> None:
    limits = Capabilities(multipart=False, max_put_size=GIB)
    assert fits_one_put(GIB, 0, limits)
    assert not fits_one_put(GIB + 1, 0, limits)
