"""What jobs start from, what they have to come to, and what may be seen of them in between.

Nothing here asks the program: destinations are written out by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What the program calls the objects with which it finds out what an endpoint honours.
PROBE = ".haul-probe-"
PLACEHOLDER = "placeholder.txt"
"""Where folders are placed; of which type it is nobody minds."""
LARGE = bytes(range(256)) * 24_576
"""6 MiB: two parts, where copies above 5 MiB are made by parts."""


class Thing(NamedTuple):
    """An object as its users see it."""

    body: bytes
    metadata: tuple[tuple[str, str], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    content_type: str = "text/csv"


Objects = dict[str, Thing]


@dataclass(frozen=True)
class Case:
    """One job: ``plan`` and ``apply`` are words of the two commands, ``moves`` names pairs of keys.

    ``after`` is what the bucket has to hold in the end, ``undone`` what it holds once that is taken back.
    Of each pair one end has its object at any moment, but for the sources that are ``given_up`` because
    another object has their destination in the end.
    """

    plan: tuple[str, ...]
    before: Objects
    after: Objects
    undone: Objects
    rules: str = ""
    apply: tuple[str, ...] = ()
    moves: tuple[tuple[str, str], ...] = ()
    given_up: frozenset[str] = field(default=frozenset())
    is_versioned: bool = False
    undo_code: int = 0

    def check_between(self, found: Mapping[str, Thing], *, undoing: bool = False) -> None:
        """Assert that nothing is lost or mixed, at whatever moment this is."""
        last = self.undone if undoing else self.before
        # Where one replaces another, the other may be there first.
        first = {end: self.before[source] for source, end in self.moves if source in self.given_up}
        for key, thing in found.items():
            if PROBE not in key:
                allowed = {last.get(key), self.after.get(key), first.get(key)}
                assert thing in allowed, f"{key} is {_short(thing)}"
        leave = {source for source, _ in self.moves}
        for key in last.keys() & self.after.keys() - leave:
            assert key in found, f"{key} is gone"
        for source, destination in self.moves:
            if source not in self.given_up:
                is_there = found.get(source) == self.before[source]
                has_arrived = found.get(destination) == self.after[destination]
                assert is_there or has_arrived, f"{source} is neither there nor at {destination}"


def compare(found: Mapping[str, Thing], expected: Mapping[str, Thing]) -> None:
    """Assert that both are the same, without printing megabytes."""
    assert sorted(found) == sorted(expected)
    for key, thing in expected.items():
        assert found[key] == thing, f"{key}: {_short(found[key])} instead of {_short(thing)}"


def _short(thing: Thing) -> Thing:
    return thing._replace(body=thing.body[:40])


def _thing(name: str, *, size: int = 1) -> Thing:
    return Thing(f"{name};".encode() * size, (("owner", name),), (("kind", "raw"),))


def _moved(before: Objects, moves: Mapping[str, str], more: Objects) -> Objects:
    left = {key: thing for key, thing in before.items() if key not in moves}
    return left | {moves[key]: before[key] for key in moves} | more


_EMPTY = Thing(b"", content_type="")
_RULES = r"""
[[rule]]
name = "dressed"
match = '^in/dressed-(?P<n>\d+)\.csv$'
to = "out/dressed/{n}.csv"
metadata = { origin = "{name}" }
tags = { kind = "dressed" }

[[rule]]
name = "files"
match = '^in/(?P<stem>[a-z]+)-(?P<n>\d+)\.csv$'
to = "out/{stem}/{n}.csv"

[[rule]]
name = "same"
match = '^in/(left|right)/(?P<file>[a-z.]+)$'
to = "out/{file}"

[[rule]]
name = "first link"
match = '^chain/a$'
to = "chain/b"

[[rule]]
name = "second link"
match = '^chain/b$'
to = "chain/c"

[fallback]
action = "skip"
"""
_FOLDERS = """
[folders]
create = ["made/"]
"""
_BEFORE: Objects = {
    "chain/a": _thing("a"),
    "chain/b": _thing("b", size=2),
    "in/dressed-4.csv": _thing("dressed"),
    "in/left/same.txt": _thing("left"),
    "in/plain-1.csv": _thing("one", size=100),
    "in/plain-2.csv": Thing(b"", (), ()),
    "in/right/same.txt": _thing("right", size=3),
    "in/left/old.txt": _thing("new"),
    "other": _thing("other"),
    "out/old.txt": _thing("old"),
}
_DRESSED = _thing("dressed")._replace(
    metadata=(("origin", "dressed-4.csv"), ("owner", "dressed")), tags=(("kind", "dressed"),)
)
_SUFFIXED = {
    "chain/a": "chain/b",
    "chain/b": "chain/c",
    "in/dressed-4.csv": "out/dressed/4.csv",
    "in/left/same.txt": "out/same.txt",
    "in/plain-1.csv": "out/plain/1.csv",
    "in/plain-2.csv": "out/plain/2.csv",
    "in/right/same.txt": "out/same-1.txt",
    "in/left/old.txt": "out/old-1.txt",
}
_OVERWRITTEN = {
    **{key: end for key, end in _SUFFIXED.items() if not key.startswith("chain/")},
    "in/right/same.txt": "out/same.txt",
    "in/left/old.txt": "out/old.txt",
}
_NO_CHAIN = {key: thing for key, thing in _BEFORE.items() if not key.startswith("chain/")}
_ANSWERED = {"out/dressed/4.csv": _DRESSED}


def _retagged(thing: Thing) -> Thing:
    return thing._replace(tags=tuple(sorted({**dict(thing.tags), "state": "seen"}.items())))


_MOVE_AFTER = _moved(_BEFORE, _SUFFIXED, {**_ANSWERED, f"made/{PLACEHOLDER}": _EMPTY})
_OVERWRITE_AFTER = _moved(_NO_CHAIN, _OVERWRITTEN, _ANSWERED)
_IN = {key: thing for key, thing in _BEFORE.items() if key.startswith("in/")}

CASES: dict[str, Case] = {
    "move": Case(
        ("move", "{url}/", "--rules", "rules.toml"),
        _BEFORE,
        _MOVE_AFTER,
        # The folder may have been there for a reason by now, but its placeholder is the job's own.
        _BEFORE,
        _RULES + _FOLDERS,
        ("--on-conflict", "suffix"),
        tuple(_SUFFIXED.items()),
    ),
    "overwrite": Case(
        ("move", "{url}/", "--rules", "rules.toml"),
        _NO_CHAIN,
        _OVERWRITE_AFTER,
        # What replaced something stays, for that cannot come back.
        {
            **{key: thing for key, thing in _NO_CHAIN.items() if not key.endswith(("same.txt", "old.txt"))},
            "out/old.txt": _NO_CHAIN["in/left/old.txt"],
            "out/same.txt": _NO_CHAIN["in/right/same.txt"],
        },
        _RULES,
        ("--on-conflict", "overwrite"),
        tuple(_OVERWRITTEN.items()),
        frozenset({"in/left/same.txt"}),
        undo_code=1,
    ),
    "copy": Case(
        ("copy", "{url}/in/", "{url}/copy/"),
        _BEFORE,
        {**_BEFORE, **{f"copy/{key[3:]}": thing for key, thing in _IN.items()}},
        _BEFORE,
    ),
    "delete": Case(
        ("delete", "{url}/in/"),
        _BEFORE,
        {key: thing for key, thing in _BEFORE.items() if key not in _IN},
        {key: thing for key, thing in _BEFORE.items() if key not in _IN},
        undo_code=1,
    ),
    "retag": Case(
        ("retag", "{url}/in/", "--tag", "state=seen"),
        _BEFORE,
        {**_BEFORE, **{key: _retagged(thing) for key, thing in _IN.items()}},
        _BEFORE,
    ),
    "large": Case(
        ("move", "{url}/in/", "{url}/out/"),
        {"in/large": Thing(LARGE, (("owner", "large"),), (("kind", "raw"),)), "other": _thing("other")},
        {"out/large": Thing(LARGE, (("owner", "large"),), (("kind", "raw"),)), "other": _thing("other")},
        {"in/large": Thing(LARGE, (("owner", "large"),), (("kind", "raw"),)), "other": _thing("other")},
        moves=(("in/large", "out/large"),),
    ),
}
CASES["versioned move"] = replace(CASES["move"], is_versioned=True)
CASES["versioned delete"] = replace(CASES["delete"], is_versioned=True, undone=_BEFORE, undo_code=0)
