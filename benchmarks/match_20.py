"""Twenty rules, regular expressions and globs, each of which takes its share of a million keys."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant, WorkNotDoneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RULES = 20
#: What is asked: keys a second, with the start of Python and the making of the keys in it.
_SPEED = 300_000
_MANY = 1_000_000


def _rule(number: int) -> str:
    """Return a rule of one of four kinds."""
    kind, name = f"kind-{number:02}", f'[[rule]]\nname = "rule {number}"\n'
    if number % 4 == 0:
        pattern = rf"^in/{kind}/(?P<day>\d{{8}})_(?P<host>[a-z]+\d+)_(?P<part>\d+)\.json\.gz$"
        return name + f"match = '{pattern}'\nto = \"{kind}/{{host}}/{{day}}-{{part}}.json.gz\"\n"
    if number % 4 == 1:
        pattern = rf"^in/{kind}/(?P<day>\d{{8}})_(?P<rest>.+)$"
        dates = 'dates = { date = { group = "day", format = "%Y%m%d" } }\n'
        return name + f"match = '{pattern}'\n{dates}to = \"{kind}/{{date:%Y/%m/%d}}/{{rest}}\"\n"
    if number % 4 == 2:  # noqa: PLR2004 -- the third of four
        return name + f'glob = "in/{kind}/*"\nto = "{kind}/{{name}}"\n'
    return name + f'match = \'/{kind}/\'\nsmaller = "1GiB"\nolder = "1d"\nto = "{kind}/{{stem}}.{{ext}}"\n'


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    rules = bench.scratch / "rules.toml"
    rules.write_text("\n".join(map(_rule, range(_RULES))))
    keys = bench.scale.many_keys

    def all_taken(_trial: str, output: Path, _first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
        taken = [tuple(map(int, line.split())) for line in output.read_text().splitlines()]
        if taken != [(rule, keys // _RULES) for rule in range(_RULES)]:
            raise WorkNotDoneError(f"not every rule took its share: {taken}")

    command = [tools.PYTHON, str(tools.PEERS / "match_rules.py"), str(rules), str(keys)]
    yield Contest(
        (Contestant("haul", lambda _trial: command),),
        tools.environment(None, bench.scratch),
        verify=all_taken,
    )


ROW = Comparison(
    name="match_20",
    title=f"{{many_keys:,}} keys placed by {_RULES} rules",
    bars=(Bar("wall", _MANY / _SPEED),),
    open=_open,
)
