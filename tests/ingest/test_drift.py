from __future__ import annotations

import pyarrow as pa
import pytest

from haulyard import IngestError
from haulyard.ingest.drift import Columns, check_names, common_type, lossless, united


def columns(uri: str, **types: pa.DataType) -> Columns:
    return Columns(uri, pa.schema(list(types.items())))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (pa.int64(), pa.int64(), pa.int64()),
        (pa.int8(), pa.int64(), pa.int64()),
        (pa.int64(), pa.float64(), pa.float64()),
        (pa.null(), pa.date32(), pa.date32()),
        (pa.date32(), pa.timestamp("us"), pa.timestamp("us")),
        (pa.timestamp("s"), pa.date32(), pa.timestamp("s")),
        (pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("us")),
        (pa.int64(), pa.string(), pa.string()),
        (pa.bool_(), pa.int64(), pa.string()),
        (pa.list_(pa.int64()), pa.string(), None),
        (pa.list_(pa.int64()), pa.list_(pa.float64()), pa.list_(pa.float64())),
    ],
)
def test_the_common_type_holds_both(
    one: pa.DataType, other: pa.DataType, expected: pa.DataType | None
) -> None:
    assert common_type(one, other) == expected


def test_files_that_differ_are_named_with_their_column() -> None:
    one, other = columns("s3://b/1", a=pa.int64()), columns("s3://b/2", a=pa.string())
    with pytest.raises(IngestError, match=r"'a' of s3://b/2 is string, and that of s3://b/1 is int64"):
        united(one, other, "fail")
    assert united(one, other, "widen").schema == pa.schema([("a", pa.string())])
    with pytest.raises(IngestError, match="'a' of s3://b/2"):
        united(one, columns("s3://b/2", a=pa.struct([("x", pa.int8())])), "widen")


def test_only_wanted_columns_have_to_agree() -> None:
    one, other = columns("1", a=pa.int64(), b=pa.int8()), columns("2", a=pa.string(), b=pa.int8())
    assert united(one, other, "fail", {"b"}).schema.names == ["a", "b"]


@pytest.mark.parametrize(
    ("names", "other", "message"),
    [
        (("a",), ("a", "b"), "s3://b/1 has no column 'b', and s3://b/2 has one"),
        (("a", "b"), ("a",), "s3://b/2 has no column 'b', and s3://b/1 has one"),
    ],
)
def test_a_missing_column_is_named_whichever_file_lacks_it(
    names: tuple[str, ...], other: tuple[str, ...], message: str
) -> None:
    with pytest.raises(IngestError, match=message):
        check_names("s3://b/1", names, "s3://b/2", other, "fail")
    with pytest.raises(IngestError, match=message):
        check_names("s3://b/1", names, "s3://b/2", other, "widen")
    check_names("s3://b/1", names, "s3://b/2", other, "add-columns")


def test_the_order_of_columns_is_no_difference() -> None:
    check_names("1", ("a", "b"), "2", ("b", "a"), "fail")


def test_types_found_on_the_way_widen_as_long_as_nothing_is_lost() -> None:
    def schema(**types: pa.DataType) -> pa.Schema:
        return pa.schema(list(types.items()))

    assert lossless(schema(a=pa.null()), schema(a=pa.string(), b=pa.int8())) == schema(
        a=pa.string(), b=pa.int8()
    )
    assert lossless(schema(a=pa.int64()), schema(a=pa.float64())) == schema(a=pa.float64())
    assert lossless(schema(a=pa.date32()), schema(a=pa.timestamp("us"))) == schema(a=pa.timestamp("us"))
    assert lossless(schema(a=pa.int64()), schema(a=pa.string())) is None
    assert lossless(schema(a=pa.string()), schema(a=pa.null())) == schema(a=pa.string())


def test_what_a_field_says_of_its_dates_is_kept() -> None:
    told = pa.schema([pa.field("a", pa.date32(), metadata={"haulyard.format": "DD/MM/YYYY"})])
    found = lossless(pa.schema([("a", pa.null())]), told)
    assert found is not None
    assert found.field("a").metadata == told.field("a").metadata
