import csv
from io import StringIO
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.journal.reporting.completion import COLUMNS, Completion, encoded, line


def test_a_line_has_the_columns_in_the_order_in_which_s3_writes_them() -> None:
    assert COLUMNS[3:6] == ("TaskStatus", "HTTPStatusCode", "ErrorCode")
    written = line("photos", "in/a b.jpg", "", "failed", "403", "AccessDenied", 'said "no"')
    assert written == 'photos,in/a%20b.jpg,,failed,403,AccessDenied,"said ""no"""\n'


@given(st.text(), st.text(), st.text(), st.text())
def test_any_line_is_understood_by_a_csv_reader(key: str, version: str, code: str, message: str) -> None:
    written = line("bucket", key, version, "failed", "", code, message)
    (row,) = csv.reader(StringIO(written, newline=""), strict=True)
    assert len(row) == len(COLUMNS)
    assert unquote(row[1]) == key
    assert row[3] == "failed"


def test_bytes_that_are_no_text_come_out_as_they_went_in() -> None:
    assert encoded("caf\udce9/\N{GRINNING FACE}+=@~") == "caf%E9/%F0%9F%98%80%2B%3D%40~"


def test_the_report_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "completion.csv"
    path.write_text("the one before")

    def fails() -> None:
        with Completion(str(path)) as completion:
            completion.add(["b,k,,succeeded,200,,\n"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert path.read_text() == "the one before"
    with Completion(str(path)) as completion:
        completion.add(["b,k,,succeeded,200,,\n"])
    assert path.read_text() == "b,k,,succeeded,200,,\n"
    assert [each.name for each in tmp_path.iterdir()] == ["completion.csv"]
