"""What becomes of a record before it is sent."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.errors import ConfigError, RecordError
from haulyard.records.model import Address
from haulyard.records.shaping import Shaper, load_transform

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST = Address(1, 0, 0)
ANN = b'{"id": 1, "name":"Ann","x":1.50}'


def shaped(shaper: Shaper, record: bytes = ANN) -> list[bytes]:
    return list(shaper.values(record, FIRST))


def test_a_record_of_which_nothing_is_asked_goes_as_it_was_read() -> None:
    shaper = Shaper()
    assert shaper.is_plain
    assert shaped(shaper) == [ANN]


def test_fields_come_in_the_order_in_which_they_are_named_and_under_their_new_names() -> None:
    assert shaped(Shaper(["name", "id"])) == [b'{"name":"Ann","id":1}']
    assert shaped(Shaper(["name", "id"], {"id": "key", "x": "y"})) == [b'{"name":"Ann","key":1}']
    assert shaped(Shaper((), {"id": "key", "none": "y"})) == [b'{"key":1,"name":"Ann","x":1.5}']


def test_a_field_that_is_missing_is_named() -> None:
    with pytest.raises(RecordError, match="'nmae'"):
        shaped(Shaper(["id", "nmae"]))


def test_no_field_takes_the_place_of_another() -> None:
    with pytest.raises(RecordError, match="same name"):
        shaped(Shaper((), {"id": "name"}))


def test_a_record_without_fields_is_left_alone() -> None:
    assert shaped(Shaper(["id"]), b"[1, 2]") == [b"[1,2]"]


def test_long_numbers_stay_what_they_are() -> None:
    record = b'{"id":123456789012345678901234567890,"t":"\xc3\xbc"}'
    assert shaped(Shaper((), {"id": "n"}), record) == [
        '{"n": 123456789012345678901234567890, "t": "ü"}'.encode()
    ]
    assert shaped(Shaper(["id"]), b'{"id":1234567890123456789}') == [b'{"id":1234567890123456789}']
    assert shaped(Shaper(["id"]), b'{"id":"1234567890123456789"}') == [b'{"id":"1234567890123456789"}']


def numbered(record: Any) -> Iterator[Any]:
    yield from ({"n": at, **record} for at in range(2))


@pytest.mark.parametrize(
    ("made", "values"),
    [
        (None, []),
        ({"a": 1}, [b'{"a":1}']),
        ("text", [b'"text"']),
        ([], []),
        ([{"a": 1}, {"a": 2}], [b'{"a":1}', b'{"a":2}']),
        ([{"a": 1}, None], [b'{"a":1}']),
        (({"a": 1},), [b'{"a":1}']),
        (False, [b"false"]),
        ({1: Decimal("1.10"), "p": Path("x"), "s": {2, 1}}, [b'{"1":"1.10","p":"x","s":[1,2]}']),
        ({"n": 1 << 70}, [b'{"n": 1180591620717411303424}']),
        ({"n": float("nan")}, [b'{"n":null}']),
    ],
)
def test_a_transform_makes_of_a_record_what_it_wants(made: Any, values: list[bytes]) -> None:
    assert shaped(Shaper(transform=lambda _: made)) == values


def test_a_transform_may_yield() -> None:
    assert shaped(Shaper(transform=numbered), b'{"a":1}') == [b'{"n":0,"a":1}', b'{"n":1,"a":1}']


def test_a_transform_gets_the_fields_that_were_chosen() -> None:
    seen: list[Any] = []
    shaped(Shaper(["id"], {"id": "key"}, seen.append))
    assert seen == [{"key": 1}]


def test_what_is_nothing_that_json_has_is_an_error_and_no_text() -> None:
    with pytest.raises(TypeError, match="object is nothing"):
        shaped(Shaper(transform=lambda _: {"a": object()}))


def test_what_a_transform_raises_is_for_the_caller() -> None:
    def fails(record: Any) -> Any:
        return record["nope"]

    with pytest.raises(KeyError, match="nope"):
        shaped(Shaper(transform=fails))


def taken(shaper: Shaper, offset: int = 0, count: int = 20_000) -> list[int]:
    return [row for row in range(count) if shaper.values(b"{}", Address(1, offset, row))]


def test_a_sample_has_its_share_and_is_the_same_in_every_run() -> None:
    rows = taken(Shaper(sample=0.1))
    assert not Shaper(sample=0.1).is_plain
    assert rows == taken(Shaper(sample=0.1))
    assert 1800 < len(rows) < 2200
    assert set(rows) <= set(taken(Shaper(sample=0.2)))


def test_a_sample_takes_no_pattern_of_rows_nor_the_same_rows_of_every_block() -> None:
    half = Shaper(sample=0.5)
    rows = set(taken(half))
    for first in range(0, 20_000, 1000):
        assert 430 < len(rows & set(range(first, first + 1000))) < 570
    both = rows & set(taken(half, offset=262_144))
    assert 4700 < len(both) < 5300


def test_all_of_it_is_a_sample_too() -> None:
    assert Shaper(sample=1.0).is_plain
    assert taken(Shaper(sample=1.0), count=100) == list(range(100))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Give a function that writes a module into the current directory and returns its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = f"transforms_{abs(hash(request.node.name))}"

    def write(text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        return name

    yield write
    sys.modules.pop(name, None)


def test_a_function_is_found_in_the_current_directory(module: Any) -> None:
    name = module("class Made:\n    @staticmethod\n    def of(record):\n        return 1\nclean = Made.of\n")
    assert load_transform(f"{name}:clean")({}) == 1
    assert load_transform(f"{name}:Made.of")({}) == 1


@pytest.mark.parametrize("name", ["", "mine", "mine:", ":clean"])
def test_what_names_no_function_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is no module:function"):
        load_transform(name)


def test_a_module_that_is_not_there_is_named(module: Any) -> None:
    with pytest.raises(ConfigError, match="No module named 'not_there_at_all'"):
        load_transform("not_there_at_all:clean")
    name = module("")
    with pytest.raises(ConfigError, match="has no attribute 'clean'"):
        load_transform(f"{name}:clean")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "raised ZeroDivisionError: division by zero"),
        ("def", "raised SyntaxError"),
        ("import sys\nsys.exit(3)", "raised SystemExit: 3"),
        ("clean = 3", "is no plain function"),
        ("async def clean(record): pass", "is no plain function"),
        ("async def clean(record): yield record", "is no plain function"),
    ],
)
def test_a_module_that_cannot_be_used_says_why(module: Any, text: str, message: str) -> None:
    name = module(text)
    with pytest.raises(ConfigError, match=message):
        load_transform(f"{name}:clean")
