"""What is said once all files were read: columns that are text for few values, files without rows."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from haulyard import describe_table_async, read_table_async, scan_async
from haulyard.events import Warned
from haulyard.ingest.model import ReadOptions

if TYPE_CHECKING:
    from tests.ingest.premises import Premises
    from tests.ingest.shelf import Shelf

pytestmark = pytest.mark.anyio


TOLD = "column 'n' is text: of 500 values 499 are BIGINT, and 'x' in {} is the first that is not"


def numbers(good: int, *others: str, name: str = "n") -> str:
    return f"id,{name}\n" + "".join(f"{at},{value}\n" for at, value in enumerate([*range(good), *others]))


async def test_a_column_that_is_text_for_one_value_is_told_with_it(shelf: Shelf) -> None:
    uri = shelf.put("t.csv", numbers(499, "x"))
    table, _ = await read_table_async(uri, client=shelf.client)
    assert table.schema.field("n").type == pa.string()
    assert shelf.warnings == [TOLD.format("s3://bucket/t.csv")]
    (event,) = [event for event in shelf.events if isinstance(event, Warned)]
    assert event.hint.startswith("schema= pins the type of a column")


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (numbers(500), 0),
        (numbers(95, *"abcde"), 1),
        (numbers(89, *"abcdefghijk"), 0),
        ("id,n\n" + "".join(f"{at},{value}\n" for at, value in enumerate(["01"] * 99 + ["x"])), 0),
        ("id,n\n" + "".join(f"{at},01/02/2013\n" for at in range(100)), 0),
        ("id,at\n" + "".join(f"{at},2013-01-02\n" for at in range(99)) + "99,soon\n", 1),
        ("".join(f'{{"n":"2013-01-{day:02d}"}}\n' for day in range(1, 29)) + '{"n":"soon"}\n', 1),
        ("".join(f'{{"n":{number}}}\n' for number in range(30)) + '{"n":"soon"}\n', 1),
        ("".join('{"n":[1,2]}\n' for _ in range(30)) + '{"n":"soon"}\n', 0),
    ],
    ids=["all", "95", "89", "zeros", "days", "dates", "json dates", "json numbers", "nested"],
)
async def test_it_is_told_where_nine_in_ten_values_are_of_another_type(
    shelf: Shelf, content: str, count: int
) -> None:
    uri = shelf.put("t.jsonl" if content.startswith("{") else "t.csv", content)
    await read_table_async(uri, client=shelf.client)
    assert len([text for text in shelf.warnings if " is text: of " in text]) == count


async def test_it_is_told_once_however_a_table_is_read(shelf: Shelf) -> None:
    uri = shelf.put("t.csv", numbers(499, "x"))
    async with aclosing(scan_async(uri, client=shelf.client)) as batches:
        _ = [batch async for batch in batches]
    assert len(shelf.warnings) == 1
    await describe_table_async(uri, client=shelf.client)
    assert len(shelf.warnings) == 2


async def test_nothing_is_told_of_types_that_are_pinned(shelf: Shelf) -> None:
    uri = shelf.put("t.csv", numbers(499, "x"))
    schema = pa.schema([("id", pa.int64()), ("n", pa.string())])
    await read_table_async(uri, schema=schema, client=shelf.client)
    assert shelf.warnings == []


async def test_types_of_all_files_decide_in_the_end(shelf: Shelf) -> None:
    """In one file it would be text; in all of them together one value in a thousand may not fit."""
    shelf.put("in/a.csv", numbers(499, "x"))
    for name in "bcd":
        shelf.put(f"in/{name}.csv", numbers(500))
    told: list[Any] = []
    table, _ = await read_table_async(
        "s3://bucket/in/", max_rejects=1, on_reject=told.append, client=shelf.client
    )
    assert table.schema.field("n").type == pa.int64()
    assert [(reject.line, reject.value) for reject in told] == [(501, "x")]
    assert shelf.warnings == []


async def test_all_files_that_were_looked_at_again_are_counted(shelf: Shelf) -> None:
    shelf.put("in/a.csv", numbers(480, *["x"] * 20))
    shelf.put("in/b.csv", numbers(500))
    table, _ = await read_table_async("s3://bucket/in/", client=shelf.client)
    assert table.schema.field("n").type == pa.string()
    (told,) = shelf.warnings
    assert "of 1,000 values 980 are BIGINT, and 'x' in s3://bucket/in/a.csv" in told


async def test_several_files_are_counted_together(shelf: Shelf) -> None:
    for name in "ab":
        shelf.put(f"in/{name}.csv", numbers(499, "x"))
    shelf.put("in/c.csv", numbers(100, *(f"t{at}" for at in range(400))))
    await read_table_async("s3://bucket/in/", client=shelf.client)
    (told,) = shelf.warnings
    assert "of 1,000 values 998 are BIGINT" in told


async def test_where_it_is_text_in_most_files_nothing_is_told(shelf: Shelf) -> None:
    shelf.put("in/a.csv", numbers(499, "x"))
    for name in "bc":
        shelf.put(f"in/{name}.csv", numbers(0, *"pqrs"))
    await read_table_async("s3://bucket/in/", client=shelf.client)
    assert shelf.warnings == []


async def test_only_some_of_many_columns_are_told_one_by_one(shelf: Shelf) -> None:
    names = [f"c{number}" for number in range(9)]
    rows = "".join(",".join([str(at)] * 9) + "\n" for at in range(99))
    uri = shelf.put("t.csv", f"{','.join(names)}\n{rows}{','.join('x' * 9)}\n")
    await read_table_async(uri, client=shelf.client)
    assert len(shelf.warnings) == 6
    assert shelf.warnings[-1] == "so it is with 4 more columns"


async def test_a_large_file_is_judged_by_what_was_looked_at(shelf: Shelf) -> None:
    rows = "".join(f"{at},{'x' if at % 20 == 0 else at}\n" for at in range(200_000))
    uri = shelf.put("t.csv", f"id,n\n{rows}")
    await read_table_async(uri, memory=1024**2, client=shelf.client)
    (told,) = shelf.warnings
    assert " values that were looked at " in told


async def test_a_load_tells_it_too(premises: Premises) -> None:
    await premises.load(premises.write("a.csv", numbers(499, "x")))
    told = [event.message for event in premises.events if isinstance(event, Warned)]
    assert told == [TOLD.format(f"{premises.directory}/a.csv")]


async def test_files_without_rows_are_told(shelf: Shelf) -> None:
    for name in "abcdefg":
        shelf.put(f"in/{name}.csv", "id,n\n")
    await read_table_async("s3://bucket/in/a.csv", client=shelf.client)
    await read_table_async("s3://bucket/in/", client=shelf.client)
    one, all_of_them = shelf.warnings
    assert one == "there are no rows, only columns, in s3://bucket/in/a.csv"
    named = ", ".join(f"s3://bucket/in/{name}.csv" for name in "abcde")
    assert all_of_them == f"there are no rows, only columns, in {named} and 2 more"


async def test_rows_that_a_condition_leaves_out_are_rows(premises: Premises) -> None:
    path = premises.write("a.csv", "id\n1\n")
    loaded = await premises.load(path, where="id > 5", options=ReadOptions())
    assert (loaded.rows_loaded, loaded.rows_filtered) == (0, 1)
    assert not [event for event in premises.events if isinstance(event, Warned)]
