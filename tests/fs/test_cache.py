"""The cache forgets what a write may have changed, also where a read was under way."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from haulyard.fs.cache import Cache, CacheStats


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def cache(**given: float) -> Cache[str]:
    limits: dict[str, float] = {"max_bytes": 1_000_000, "max_entries": 1000, "ttl": 10.0}
    return Cache(**(limits | given))  # type: ignore[arg-type]  # whole numbers where they have to be


def keep(cache: Cache[str], path: str, value: str = "node") -> None:
    with cache.reading(path) as reading:
        reading.keep(value)


def keep_all(cache: Cache[str], path: str, *values: str) -> None:
    with cache.listing_of(path) as reading:
        reading.keep_all(values)


def test_what_was_asked_is_known() -> None:
    known = cache()
    assert known.node("a") is None
    assert known.listing("a") is None
    keep(known, "a")
    keep_all(known, "a", "x", "y")
    assert known.node("a") == "node"
    assert known.listing("a") == ("x", "y")
    assert known.stats[:4] == (2, 2, 0, 0)
    assert known.stats.hit_rate == 0.5
    assert CacheStats().hit_rate == 0.0


def test_an_empty_directory_is_known_as_empty() -> None:
    known = cache()
    keep_all(known, "a")
    assert known.listing("a") == ()


def test_a_write_forgets_the_node_and_the_listings_above_it() -> None:
    known = cache()
    for path in ("", "a", "a/b", "a/b/c", "a/x", "d"):
        keep(known, path)
        keep_all(known, path, "x")
    keep(known, "a/")
    with known.writing("a/b/c"):
        assert known.node("a/b/c") == "node"
    for path in ("", "a", "a/b", "a/b/c"):
        assert known.node(path) is None
        assert known.listing(path) is None
    assert known.node("a/") is None
    for path in ("a/x", "d"):
        assert known.node(path) == "node"
        assert known.listing(path) == ("x",)


def test_a_write_that_fails_forgets_as_well() -> None:
    known = cache()
    keep(known, "a")
    with pytest.raises(RuntimeError), known.writing("a"):
        raise RuntimeError
    assert known.node("a") is None


def test_changing_a_directory_forgets_all_below_it() -> None:
    known = cache()
    for path in ("a", "a/b", "ab", "a-b"):
        keep(known, path)
    with known.writing_below("a"):
        pass
    assert [known.node(path) for path in ("a", "a/b", "ab", "a-b")] == [None, None, "node", "node"]


def test_refresh_forgets_everything() -> None:
    known = cache()
    keep(known, "a")
    keep_all(known, "")
    known.refresh()
    assert known.stats.entries == known.stats.bytes == 0


@pytest.mark.parametrize("forget", ["writing", "below", "refresh"])
def test_an_answer_from_before_a_write_is_not_kept(forget: str) -> None:
    known = cache()
    with known.reading("a/b") as node, known.listing_of("a") as listing, known.reading("c") as other:
        match forget:
            case "writing":
                with known.writing("a/b"):
                    pass
            case "below":
                with known.writing_below("a"):
                    pass
            case "refresh":
                known.refresh("a")
        node.keep("old")
        listing.keep_all(("old",))
        other.keep("kept")
    assert (known.node("a/b"), known.listing("a"), known.node("c")) == (None, None, "kept")
    assert known.stats.outdated == 2
    assert not known._readings


def test_an_answer_to_a_question_after_the_write_is_kept() -> None:
    known = cache()
    with known.reading("a"):
        with known.writing("a"):
            pass
        keep(known, "a", "new")
    assert known.node("a") == "new"


def test_age_counts_from_the_question() -> None:
    clock = Clock()
    known: Cache[str] = Cache(max_bytes=10_000, max_entries=10, ttl=10, clock=clock)
    with known.reading("a") as reading:
        clock.now = 6
        reading.keep("node")
    clock.now = 9.9
    assert known.node("a") == "node"
    clock.now = 10
    assert known.node("a") is None
    assert known.stats.entries == 0


def test_the_least_recently_used_makes_room() -> None:
    known = cache(max_entries=2)
    keep(known, "a")
    keep(known, "b")
    assert known.node("a") == "node"
    keep(known, "c")
    assert [known.node(path) for path in "abc"] == ["node", None, "node"]
    assert known.stats.evicted == 1


def test_bytes_are_bounded_and_what_is_too_large_is_not_kept() -> None:
    known = cache(max_bytes=20_000)
    keep_all(known, "large", *map(str, range(100)))
    assert known.listing("large") is None
    for number in range(100):
        keep(known, str(number))
    assert 10_000 < known.stats.bytes <= 20_000
    assert known.node("99") == "node"
    assert known.node("0") is None


@pytest.mark.parametrize("off", ["max_bytes", "max_entries", "ttl"])
def test_nothing_is_remembered_where_that_was_asked_for(off: str) -> None:
    known = cache(**{off: 0})
    keep(known, "a")
    assert known.node("a") is None
    known.refresh()
    assert known.stats == CacheStats()


class Honest(RuleBasedStateMachine):
    """Reads and writes that overlap in any way: the cache never says what was true before a write."""

    questions = Bundle("questions")
    PATHS = ("", "a", "a/b", "a/c", "d")

    def __init__(self) -> None:
        super().__init__()
        self.known: Cache[int] = Cache(max_bytes=1_000_000, max_entries=3, ttl=10)
        self.store = dict.fromkeys(self.PATHS, 0)
        self.told = dict.fromkeys(self.PATHS, 0)

    @rule(target=questions, path=st.sampled_from(PATHS))
    def ask(self, path: str) -> tuple[object, object, str, int]:
        question = self.known.reading(path)
        return question, question.__enter__(), path, self.store[path]

    @rule(question=consumes(questions))
    def answer(self, question: tuple[object, object, str, int]) -> None:
        context, reading, _, value = question
        reading.keep(value)  # type: ignore[attr-defined]  # as `ask` made it
        context.__exit__()  # type: ignore[attr-defined]  # likewise

    @rule(path=st.sampled_from(PATHS))
    def write(self, path: str) -> None:
        with self.known.writing(path):
            self.store[path] += 1
        self.told[path] = self.store[path]

    @rule(path=st.sampled_from(PATHS))
    def write_below(self, path: str) -> None:
        with self.known.writing_below(path):
            for each in self.PATHS:
                if not path or each == path or each.startswith(f"{path}/"):
                    self.store[each] += 1
        self.told = dict(self.store)

    @invariant()
    def never_older_than_a_write(self) -> None:
        for path in self.PATHS:
            found = self.known.node(path)
            assert found is None or found >= self.told[path]


TestHonest = Honest.TestCase
TestHonest.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
