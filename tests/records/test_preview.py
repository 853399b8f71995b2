"""What a job would send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from haulyard.errors import NotFound, RecordError
from haulyard.records.bodies import encoder
from haulyard.records.model import Block, Flaw, SourceObject
from haulyard.records.preview import Preview, preview
from haulyard.records.shaping import Shaper

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from haulyard.records.bodies import Shape

pytestmark = pytest.mark.anyio


class Source:
    """Two objects of three records, of which the last of each is none."""

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.flaw = Flaw(4, 30, "no JSON")
        self.open = 0

    async def objects(self) -> AsyncGenerator[list[SourceObject]]:
        self.open += 1
        try:
            for at in (1, 2):
                yield [SourceObject(at, f"{at}.csv", 100, "e")]
        finally:
            self.open -= 1

    async def read(self, source: SourceObject, offset: int, line: int) -> AsyncGenerator[Block]:
        self.open += 1
        try:
            rows = [b'{"n":%d}' % (source.id * 10 + at) for at in range(2)]
            yield Block(source.id, 0, 1, [*rows, b""], 40, flaws={2: self.flaw})
            if self.fails:
                raise self.fails
        finally:
            self.open -= 1

    async def preview(
        self,
        shaper: Shaper | None = None,
        *,
        size: int = 1,
        shape: Shape = "json",
        template: str = "",
        **more: Any,
    ) -> Preview:
        encode, _ = encoder(shape, template, size)
        found = await preview(
            self.objects(), self.read, shaper or Shaper(), encode, size, "POST http://x/", **more
        )
        assert not self.open
        return found


async def test_everything_is_counted_and_three_requests_are_shown() -> None:
    found = await Source().preview()
    assert found.fields() == {
        "target": "POST http://x/",
        "objects": 2,
        "bytes": 200,
        "records": 6,
        "calls": 4,
        "passed_over": 0,
        "failed": 2,
        "requests": ['{"n":10}', '{"n":11}', '{"n":20}'],
        "flaws": ["line 4: no JSON (byte 30)"] * 2,
    }
    assert found.text().splitlines() == [
        "request 1: POST http://x/",
        '  {"n":10}',
        "request 2: POST http://x/",
        '  {"n":11}',
        "request 3: POST http://x/",
        '  {"n":20}',
        "6 records of 2 objects would make 4 calls; 2 cannot be sent",
        "  line 4: no JSON (byte 30)",
        "  line 4: no JSON (byte 30)",
        "dry run: nothing was sent",
    ]


async def test_several_records_are_one_request() -> None:
    found = await Source().preview(size=3)
    assert (found.calls, found.requests) == (2, ['[{"n":10},{"n":11},{"n":20}]', '[{"n":21}]'])


async def test_what_is_passed_over_is_said() -> None:
    found = await Source().preview(Shaper(transform=lambda record: record if record["n"] > 20 else None))
    assert (found.calls, found.passed_over, found.requests) == (1, 3, ['{"n":21}'])
    assert "3 passed over" in found.text()


async def test_every_record_that_goes_into_no_call_is_counted_not_only_the_first() -> None:
    found = await Source().preview(
        Shaper(transform=lambda record: {"x": 1} if record["n"] == 10 else {}),
        shape="template",
        template="{{x}}",
    )
    assert (found.calls, found.failed, found.requests) == (1, 5, ["1"])


async def test_what_a_transform_raises_is_shown_and_only_the_first_of_it() -> None:
    def fails(record: Any) -> Any:
        raise KeyError("city")

    found = await Source().preview(Shaper(transform=fails))
    assert (found.calls, found.failed, len(found.flaws)) == (0, 6, 5)
    assert found.flaws[0] == "KeyError: 'city'"


async def test_a_limit_ends_it() -> None:
    found = await Source().preview(limit=2)
    assert (found.records, found.calls, found.objects) == (2, 2, 1)
    assert (await Source().preview(limit=3)).objects == 1


async def test_it_can_be_stopped() -> None:
    assert (await Source().preview(stopped=lambda: True)).records == 0
    stops = iter([False, True, True])
    assert (await Source().preview(stopped=lambda: next(stops))).records == 3


async def test_an_object_that_cannot_be_read_is_told() -> None:
    for error in (RecordError("1.csv is no gzip"), NotFound("1.csv is gone")):
        source = Source()
        source.fails = error
        found = await source.preview()
        assert str(error) in found.flaws
        assert (found.objects, found.failed) == (2, 4)


async def test_a_long_body_is_cut_and_nothing_steers_the_terminal() -> None:
    long = await Source().preview(Shaper(transform=lambda _: "x" * 5000))
    assert long.requests[0].endswith("x … (5,002 bytes)")
    source = Source()
    source.flaw = Flaw(0, 3, "bad \x1b[31m")
    found = await source.preview(Shaper(transform=lambda _: "\x9b\u2028"))
    assert r'"\x9b\u2028"' in found.text()
    assert r"  bad \x1b[31m (row 3)" in found.text()
