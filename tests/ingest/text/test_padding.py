from __future__ import annotations

import pyarrow as pa
import pytest

from haulyard.ingest.text.padding import padded_fields, padded_values


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("007,1\n", 1),
        ("1,007\n2,00\n", 2),
        ("1, 007\n", 1),
        ('"007","0x1F"\n', 2),
        ("01", 1),
        ("1,01", 1),
        ("1\n01", 1),
        ("0,0\n0", 0),
        ("0.5,10,100\n", 0),
        ("05:30,01/02/2013,01-02-2013\n", 0),
        ("2013-01-01 05:00:00,2013-01-01 00\n", 0),
        ("", 0),
        ("0", 0),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_fields_with_zeros_before_numbers_are_counted(text: str, count: int, delimiter: str) -> None:
    text = text.replace(",", delimiter)
    assert padded_fields(text.encode(), delimiter) == count
    assert padded_fields(b"x" * 1001 + b"\n" + text.encode(), delimiter) == count
    values = [value.strip('"') for line in text.split("\n") for value in line.split(delimiter)]
    assert padded_values(pa.array(values)) == count
