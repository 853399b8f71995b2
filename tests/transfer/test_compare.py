from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import ConfigError
from haulyard.models import Checksum, ObjectInfo
from haulyard.transfer.compare import (
    EXISTS,
    LOOK_AT_CONTENTS,
    MISSING,
    NEWER,
    OLDER,
    SIZES_DIFFER,
    TIMES_DIFFER,
    UNCHANGED,
    Decision,
    SyncRules,
    decide,
    same_content,
    unchanged,
)
from haulyard.transfer.items import Item


def item(size: int = 1, modified: float = 100.0) -> Item:
    return Item("x", size, modified)


SAME = SyncRules()
SIZE_ONLY = SyncRules(size_only=True)
EXACT = SyncRules(exact_timestamps=True)
CHECKSUM = SyncRules(checksum=True)
NO_CLOBBER = SyncRules(no_clobber=True)
UPDATE = SyncRules(update=True)
EVERY_WAY = [SAME, SIZE_ONLY, EXACT, CHECKSUM, NO_CLOBBER, UPDATE]


@pytest.mark.parametrize("rules", EVERY_WAY)
def test_what_is_missing_is_copied(rules: SyncRules) -> None:
    assert decide(item(), None, rules) == MISSING


@pytest.mark.parametrize(
    ("rules", "source", "destination", "decision"),
    [
        (SAME, item(1), item(2), SIZES_DIFFER),
        (SAME, item(modified=101), item(), NEWER),
        (SAME, item(modified=99), item(), UNCHANGED),
        (SAME, item(), item(), UNCHANGED),
        (SAME, item(modified=100.9), item(modified=100.1), UNCHANGED),
        (SAME, item(modified=101.0), item(modified=100.9), NEWER),
        (SAME, item(modified=-0.5), item(modified=-0.9), UNCHANGED),
        (SAME, item(modified=0.5), item(modified=-0.5), NEWER),
        (SIZE_ONLY, item(1), item(2), SIZES_DIFFER),
        (SIZE_ONLY, item(modified=500), item(), UNCHANGED),
        (EXACT, item(modified=99), item(), TIMES_DIFFER),
        (EXACT, item(modified=101), item(), NEWER),
        (EXACT, item(modified=100.2), item(modified=100.7), UNCHANGED),
        (CHECKSUM, item(1), item(2), SIZES_DIFFER),
        (CHECKSUM, item(modified=500), item(), LOOK_AT_CONTENTS),
        (CHECKSUM, item(), item(), LOOK_AT_CONTENTS),
        (NO_CLOBBER, item(1, 500), item(2), EXISTS),
        (UPDATE, item(1, 99), item(2, 100), OLDER),
        (UPDATE, item(1, 100), item(2, 100), SIZES_DIFFER),
        (UPDATE, item(1, 101), item(1, 100), NEWER),
        (UPDATE, item(-1, 0), item(1, 100), SIZES_DIFFER),
        (SyncRules(update=True, checksum=True), item(1, 99), item(1, 100), OLDER),
        (SyncRules(update=True, checksum=True), item(1, 101), item(1, 100), LOOK_AT_CONTENTS),
    ],
)
def test_a_pair_is_decided_by_the_first_rule_that_applies(
    rules: SyncRules, source: Item, destination: Item, decision: Decision
) -> None:
    assert decide(source, destination, rules) == decision


@pytest.mark.parametrize(
    ("rules", "flags"),
    [
        ({"size_only": True, "checksum": True}, "--size-only and --checksum"),
        ({"size_only": True, "exact_timestamps": True}, "--size-only and --exact-timestamps"),
        ({"exact_timestamps": True, "checksum": True}, "--exact-timestamps and --checksum"),
    ],
)
def test_rules_that_contradict_each_other_are_refused(rules: dict[str, bool], flags: str) -> None:
    with pytest.raises(ConfigError, match=flags):
        SyncRules(**rules)


times = st.floats(0, 200).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
infos = st.builds(ObjectInfo, key=st.just("x"), size=st.integers(0, 2), last_modified=times)


@given(source=infos, destination=infos, rules=st.sampled_from(EVERY_WAY))
def test_the_quick_look_never_leaves_alone_what_the_rules_would_copy(
    source: ObjectInfo, destination: ObjectInfo, rules: SyncRules
) -> None:
    if rules.trusts_listings and unchanged(source, destination):
        assert decide(Item.from_info(source), Item.from_info(destination), rules).action == "skip"


def test_listings_are_not_enough_where_contents_or_exact_times_count() -> None:
    assert [rules.trusts_listings for rules in EVERY_WAY] == [True, True, False, False, True, True]


CRC, OTHER_CRC = Checksum("CRC64NVME", "AAAA"), Checksum("CRC64NVME", "BBBB")
SHA, OTHER_SHA = Checksum("SHA256", "AAAA"), Checksum("SHA256", "BBBB")
PARTS, OTHER_PARTS = Checksum("SHA256", "AAAA-2", "COMPOSITE"), Checksum("SHA256", "BBBB-2", "COMPOSITE")


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        ([CRC], [CRC], True),
        ([CRC], [OTHER_CRC], False),
        ([CRC], [SHA], None),
        ([CRC], [], None),
        ([], [], None),
        ([PARTS], [PARTS], True),
        ([PARTS], [OTHER_PARTS], None),
        ([PARTS], [SHA], None),
        ([CRC, PARTS], [CRC, OTHER_PARTS], True),
        ([CRC, SHA], [CRC, OTHER_SHA], False),
        ([OTHER_CRC, SHA], [CRC, SHA], False),
    ],
)
def test_checksums_compare_like_with_like(
    one: list[Checksum], other: list[Checksum], *, verdict: bool | None
) -> None:
    assert same_content(one, other) is verdict
    assert same_content(other, one) is verdict
