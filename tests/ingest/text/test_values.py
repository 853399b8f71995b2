"""The exact way and pyarrow's CSV reader understand values alike, whatever their type."""

from __future__ import annotations

import pyarrow as pa
import pytest

from haulyard.ingest.text.dates import WAYS, dates
from haulyard.ingest.text.layout import Layout
from haulyard.ingest.text.values import array_of, as_type, read_columns
from haulyard.records.formats.delimited import Dialect
from haulyard.records.formats.encoding import Charset

LAYOUT = Layout("s3://b/a.csv", ("a",), Dialect(), Charset("utf-8", b"", b",\n"), ())
# fmt: off
NUMBERS = (
    "7", " 7 ", "\t7", "+7", "-7", "007", "-0", "0x1F", "0X1f", "-0x1", "12345678901234567890", "300", "-1",
    "1.", ".5", "+1.5", "-.5e-3", "1e5", "1E+5", "inf", "-INF", "Infinity", "nan", "-nan", "nan(1)", "1_0",
    "1", "0", "1.5", "1.50", "12345.12", "1e1", "1e-9", "x", "", 'a"b', "true", "True", "TRUE", "tRue",
    "t", "yes", " true",
)
TIMES = (
    "2013-01-01", " 2013-01-01 ", "2013-1-1", "2013-02-30", "20130101", "9999-12-31 23:59:59.999999999",
    "0001-01-01", "05:06", "05:06:07", "05:06:07.5", "05:06:07.123456", "24:00:00", "05", "5:06",
    "2013-01-01Z", "2013-01-01 05", "2013-01-01 05Z", "2013-01-01 05:06", "2013-01-01 05:06:07",
    "2013-01-01 05:06:07.1", "2013-01-01 05:06:07.1234", "2013-01-01 05:06:07.123456",
    "2013-01-01 05:06:07.1234567", "2013-01-01 05:06:07.123456789", "2013-01-01 05:06:07.1234567891",
    "2013-01-01 05:06:07Z", "2013-01-01 05:06:07+02", "2013-01-01 05:06:07+0200",
    "2013-01-01 05:06:07.5-02:00", "2013-01-01 25:00", "2013-01-01 0506", "2013-01-01 05:06:60",
    "2013-01-01  05:06", "2013-01-01T05:06",
)
# fmt: on
KINDS = (
    *(pa.int8(), pa.uint8(), pa.int32(), pa.int64(), pa.uint64(), pa.float32(), pa.float64(), pa.bool_()),
    *(pa.date32(), pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns")),
    *(pa.timestamp("us", "UTC"), pa.timestamp("ns", "UTC"), pa.time32("s"), pa.time64("us"), pa.time64("ns")),
    *(pa.decimal128(5, 2), pa.decimal128(38, 0), pa.large_string(), pa.dictionary(pa.int32(), pa.string())),
)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_single_values_are_read_as_blocks_are(kind: pa.DataType) -> None:
    values = NUMBERS + TIMES
    found, wrong = as_type(pa.array(values), kind)
    assert found.type == kind
    for at, value in enumerate(values):
        quoted = '"{}"\n'.format(value.replace('"', '""')).encode()
        try:
            column = array_of(read_columns(quoted, LAYOUT, {"a": kind}), "a")
        except pa.ArrowInvalid:
            assert wrong[at].as_py(), value
            continue
        assert not wrong[at].as_py(), value
        assert str(found[at]) == str(column[0]), value


def test_null_is_of_any_type() -> None:
    found, wrong = as_type(pa.array(["1", None]), pa.int64())
    assert found.to_pylist() == [1, None]
    assert wrong.to_pylist() == [False, False]


@pytest.mark.parametrize(
    ("way", "text"),
    [
        ("DD/MM/YYYY", "5/03/2013"),
        ("MM/DD/YYYY", "3/05/2013"),
        ("DD.MM.YYYY", "05.03.2013"),
        ("DD-MM-YYYY", "05-03-2013"),
        ("MM-DD-YYYY", "03-05-2013"),
        ("YYYY/MM/DD", "2013/3/5"),
        ("YYYYMMDD", "20130305"),
        ("DD-Mon-YYYY", "05-mar-2013"),
    ],
)
def test_a_date_is_the_same_whichever_way_it_is_written(way: str, text: str) -> None:
    found, wrong = dates(pa.array([text, None, "x", "99/99/2013", "2013-03-05"]), way)
    assert str(found[0]) == "2013-03-05"
    assert wrong.to_pylist() == [False, False, True, True, True]
    assert len(WAYS) == 8


def test_a_day_that_no_month_has_is_no_date() -> None:
    assert dates(pa.array(["31/02/2013", "29/02/2012"]), "DD/MM/YYYY")[1].to_pylist() == [True, False]
