"""Places a million objects by the rules of a file, a page at a time; nothing is listed and nothing written.

::

    match_rules.py RULES KEYS
"""

from __future__ import annotations

import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

from haulyard.jobs.rules import Rules
from haulyard.models import ObjectInfo

_PAGE = 1_000
#: Pages that differ; they come again and again, so that making them is little of the work.
_PAGES = 50
_KINDS = 20
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def _page(number: int) -> list[ObjectInfo]:
    return [
        ObjectInfo(
            f"in/kind-{at % _KINDS:02}/2026{1 + at % 12:02}{1 + at % 28:02}_host{at % 97}_{at:08}.json.gz",
            at * 7919 % 50_000_000,
            _BEGIN + timedelta(minutes=at % 100_000),
        )
        for at in range(number * _PAGE, (number + 1) * _PAGE)
    ]


def main(path: str, keys: int) -> None:
    """Place ``keys`` objects and print how many each rule took."""
    rules = Rules.load(path)
    pages = [_page(number) for number in range(min(_PAGES, keys // _PAGE))]
    now = (_BEGIN + timedelta(days=100)).timestamp()
    taken: Counter[int] = Counter()
    for number in range(keys // _PAGE):
        taken.update(rules.place(pages[number % len(pages)], now).rule)
    sys.stdout.writelines(f"{rule} {count}\n" for rule, count in sorted(taken.items()))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
