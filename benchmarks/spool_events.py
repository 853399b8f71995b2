"""Events through a pipe into rotated files, each checked and on the disk: JSON and XML, beside cat."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant, Scale, WorkNotDoneError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: Events a second, and bytes of memory.
_JSON = 200_000
_XML = 50_000
_MEMORY = 150_000_000
_EVENTS = Scale().many_keys
#: Lines of a file of XML that are no events.
_FRAME = 3
_FORMS = {
    "json": '{"id":%d,"time":"2025-07-29T16:15:00.123Z","kind":"order.created","customer":{"id":48213,'
    '"country":"DE"},"total":129.95,"items":["a-17","b-3"],"paid":true}\n',
    "xml": '<event id="%d" time="2025-07-29T16:15:00.123Z"><kind>order.created</kind><customer id="48213">'
    '<country>DE</country></customer><total currency="EUR">129.95</total><items><item sku="a-17">2</item>'
    '<item sku="b-3">1</item></items></event>\n',
}


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    count = bench.scale.many_keys
    scratch = bench.scratch
    for form, event in _FORMS.items():
        with (scratch / f"events.{form}").open("w") as file:
            file.writelines(event % number for number in range(count))

    def piped(form: str, to: str) -> Sequence[str]:
        # The shell waits for both, so what cat takes counts as well.
        return ["/bin/sh", "-c", f"cat {scratch}/events.{form} | {to}"]

    def spool(form: str, trial: str) -> Sequence[str]:
        return piped(form, f"{tools.HAUL} spool {scratch / trial} --format {form}")

    def prepare(trial: str) -> None:
        (scratch / trial).mkdir()

    def verify(trial: str, _output: Path, first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
        if first:
            _require(count, scratch / trial)

    def clear(trial: str) -> None:
        shutil.rmtree(scratch / trial)

    yield Contest(
        (
            Contestant("haul", lambda trial: spool("json", trial)),
            Contestant("haul, XML", lambda trial: spool("xml", trial)),
            Contestant("cat", lambda trial: piped("json", f"cat > {scratch / trial}/events.json")),
        ),
        tools.environment(None, scratch),
        verify,
        prepare,
        clear,
    )


def _require(count: int, directory: Path) -> None:
    found = 0
    for path in directory.iterdir():
        if path.suffix in {".json", ".xml"}:
            with path.open("rb") as file:
                found += sum(1 for _ in file) - (_FRAME if path.suffix == ".xml" else 0)
    if found != count:
        raise WorkNotDoneError(f"expected {count} events, found {found}")


ROW = Comparison(
    name="spool_events",
    title="{many_keys:,} events through a pipe into rotated files, JSON and XML",
    bars=(
        Bar("wall", _EVENTS / _JSON),
        Bar("wall", _EVENTS / _XML, subject="haul, XML"),
        Bar("rss", _MEMORY),
        Bar("rss", _MEMORY, subject="haul, XML"),
    ),
    open=_open,
)
