"""A small job with one of everything: what it begins with, its rules, and what it has to come to."""

from __future__ import annotations

from typing import Any, Final

from tests.jobs.applying.lab import Thing, able, store_of, thing

from haulyard.stores.memory import MemoryStore

#: Larger than a single copy may be; the parts of it differ.
LARGE: Final = bytes(range(40))

OBJECTS: Final[dict[str, bytes | Thing]] = {
    "big/l": LARGE,
    "c/x.txt": b"one x",
    "d/x.txt": b"another x",
    "e/y": b"new y",
    "p/i": b"in place",
    "q/1": b"first",
    "q/2": b"second",
    "s/z": thing(b"same", 99),
    "stays": b"stays",
    "there/y": b"old y",
    "there/z": thing(b"same", 99),
}

RULES: Final = """
[[rule]]
match = '^big/l$'
to = "out/l"
[[rule]]
match = '^[cd]/x'
to = "flat/x.txt"
[[rule]]
match = '^(e|s)/(?P<name>.)$'
to = "there/{name}"
[[rule]]
match = '^p/i$'
to = "p/i"
metadata = { moved = "yes" }
[[rule]]
match = '^q/1$'
to = "q/2"
[[rule]]
match = '^q/2$'
to = "q/3"
[fallback]
action = "skip"
[folders]
create = ["raw/"]
"""


def beginning(kind: type[MemoryStore] = MemoryStore, **how: Any) -> MemoryStore:
    """Return a store with what the job begins with, where single copies are small."""
    store = store_of(OBJECTS, kind=kind, min_part_size=8, **how)
    return able(store, max_put_size=16, max_part_size=16)


def _moved(policy: str) -> dict[str, str]:
    """Return where each acting object ends up; those that stay are left out."""
    places = {"big/l": "out/l", "s/z": "there/z", "q/1": "q/2", "q/2": "q/3", "p/i": "p/i"}
    if policy == "suffix":
        places |= {"c/x.txt": "flat/x.txt", "d/x.txt": "flat/x-1.txt", "e/y": "there/y-1"}
    if policy == "overwrite":
        places |= {"c/x.txt": "", "d/x.txt": "flat/x.txt", "e/y": "there/y"}
    return places


def end(policy: str, *, is_move: bool = True) -> dict[str, Thing]:
    """Return what has to be there at the end, told from the plan alone."""
    before = {
        key: given if isinstance(given, Thing) else thing(given, number)
        for number, (key, given) in enumerate(OBJECTS.items())
    }
    places = _moved(policy)
    if not is_move:
        # What is copied stays, so that q/2 is there when q/1 is to be copied to it.
        places = {key: place for key, place in places.items() if key != "q/1"}
        if policy == "suffix":
            places["q/1"] = "q/2-1"
        if policy == "overwrite":
            places["q/1"] = "q/2"
    after = {key: each for key, each in before.items() if key not in places or not is_move}
    for key, place in places.items():
        if place:
            after[place] = before[key]
    after["p/i"] = before["p/i"]._replace(metadata={**before["p/i"].metadata, "moved": "yes"})
    after["raw/placeholder.txt"] = thing(b"")._replace(metadata={}, tags={}, content_type="")
    return after
