from __future__ import annotations

import pyarrow as pa
import pytest

from haulyard.errors import IngestError
from haulyard.ingest.tables_fitting import Fit, ReadAsError, fit, new_names, storable


def schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


def test_names_that_differ_in_case_alone_get_numbers() -> None:
    assert new_names(["id", "ID", "id_2", "Id"]) == ("id", "ID_3", "id_2", "Id_4")


def test_a_column_of_nulls_is_stored_as_text_and_a_dictionary_as_its_values() -> None:
    found = schema(a=pa.null(), b=pa.dictionary(pa.int8(), pa.string()), c=pa.large_string(), d=pa.uuid())
    assert storable(found) == schema(a=pa.string(), b=pa.string(), c=pa.string(), d=pa.uuid())


@pytest.mark.parametrize(
    ("found", "table"),
    [
        (pa.int32(), pa.int64()),
        (pa.uint8(), pa.int16()),
        (pa.uint8(), pa.uint16()),
        (pa.float32(), pa.float64()),
        (pa.timestamp("ms"), pa.timestamp("us")),
        (pa.null(), pa.date32()),
        (pa.uuid(), pa.string()),
        (pa.large_string(), pa.string()),
        (pa.list_(pa.int64()), pa.list_(pa.int32())),
    ],
)
def test_values_that_the_type_of_the_table_holds_are_stored_as_they_are(
    found: pa.DataType, table: pa.DataType
) -> None:
    assert fit(schema(a=found), schema(a=table), "fail", "f", "t") == Fit(("a",))


@pytest.mark.parametrize(
    ("found", "table"),
    [
        (pa.int64(), pa.int32()),
        (pa.int64(), pa.float64()),
        (pa.int64(), pa.string()),
        (pa.uint8(), pa.int8()),
        (pa.int8(), pa.uint8()),
        (pa.float64(), pa.int64()),
        (pa.string(), pa.date32()),
        (pa.timestamp("ns"), pa.timestamp("us")),
        (pa.timestamp("us"), pa.timestamp("us", "UTC")),
    ],
)
def test_other_values_are_read_again_as_what_the_table_has(found: pa.DataType, table: pa.DataType) -> None:
    with pytest.raises(ReadAsError) as caught:
        fit(schema(a=found, b=pa.int64()), schema(b=pa.int64(), a=table), "fail", "f", "t")
    assert caught.value.schema == schema(a=table, b=pa.int64())


def test_columns_are_matched_by_name_in_whatever_case() -> None:
    table = schema(Id=pa.int64(), name=pa.string())
    assert fit(schema(NAME=pa.string(), id=pa.int64()), table, "fail", "f", "t") == Fit(("name", "Id"))


def test_columns_that_are_missing_here_or_there_are_a_matter_of_drift() -> None:
    table = schema(a=pa.int64(), b=pa.int64())
    for found in (schema(a=pa.int64()), schema(a=pa.int64(), b=pa.int64(), c=pa.int64())):
        with pytest.raises(IngestError, match=r"f lacks 'b' of t|f has a column 'c' that t has not"):
            fit(found, table, "widen", "f", "t")
    assert fit(schema(c=pa.int8(), a=pa.int64()), table, "add-columns", "f", "t") == Fit(("c", "a"), ("c",))


def test_a_column_that_the_rows_get_later_is_not_missing() -> None:
    table = schema(a=pa.int64(), vector=pa.list_(pa.float32()))
    assert fit(schema(a=pa.int64()), table, "fail", "f", "t", given="Vector") == Fit(("a",))
