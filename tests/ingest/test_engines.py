"""What reading a table imports."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_CODE = """
import sys
from haulyard import read_table
table, _ = read_table(sys.argv[1])
assert table.num_rows == 3, table
print("pandas" in sys.modules)
"""

_ROWS = {
    "plain": "n,text,when,share,zip\n1,a,2026-01-02,0.5,01\n2,b,2026-01-03,0.25,02\n3,NA,,,\n",
    "quoted": 'n,text\n1,"a,b"\n2,"c ""d"""\n3,"e\nf"\n',
    "dates": "n,when\n1,13/02/2026\n2,14/02/2026\n3,15/02/2026\n",
    "words": "word,flag,at\nx,true,2026-01-01 10:00:00\ny,false,2026-01-01 10:00:01\nz,,\n",
}


@pytest.mark.parametrize("name", _ROWS)
def test_to_read_csv_does_not_import_pandas(name: str, tmp_path: Path) -> None:
    assert find_spec("pandas") is not None, "else nothing is shown"
    path = tmp_path / f"{name}.csv"
    path.write_text(_ROWS[name])
    command = [sys.executable, "-c", _CODE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_to_load_csv_does_not_import_pandas(tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text(_ROWS["plain"])
    code = """
import sys
from haulyard import load_table
load_table(sys.argv[1], db=sys.argv[2])
print("pandas" in sys.modules)
"""
    command = [sys.executable, "-c", code, str(path), str(tmp_path / "t.duckdb")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")
