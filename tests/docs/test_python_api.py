"""The page about the Python API: its programs print what it says, and it names all that there is."""

from __future__ import annotations

import inspect
import io
import re
import subprocess
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import pytest
from tests.docs import pages

import haulyard
from haulyard import Client

if TYPE_CHECKING:
    from pathlib import Path

PAGE = pages.DOCS / "python-api.md"
TABLES = pages.DOCS / "tables-in-python.md"


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("page", [PAGE, TABLES], ids=lambda page: page.stem)
def test_the_programs_print_what_the_page_says(page: Path) -> None:
    with Client() as client:
        if client.exists("s3://demo"):
            client.delete_tree("s3://demo")
            client.remove_bucket("s3://demo")
    run(page)


@pytest.mark.usefixtures("server")
def test_the_page_about_tables_can_be_run_again() -> None:
    for _ in range(2):
        run(TABLES)


def run(page: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    blocks = [block for block in pages.blocks(page) if block.language in {"python", "text"}]
    assert blocks
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block.language == "text":
            continue
        out = io.StringIO()
        with redirect_stdout(out):
            exec(compile(block.text, str(page), "exec"), names)  # noqa: S102 -- our own documentation
        expected = following.text if following is not None and following.language == "text" else ""
        assert out.getvalue() == expected, block.text


def named_under_reference() -> set[str]:
    reference = PAGE.read_text(encoding="utf-8").partition("\n## Reference\n")[2]
    cells = [line.split("|")[1] for line in reference.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_the_reference_names_all_that_there_is_and_nothing_else() -> None:
    described = (
        haulyard.AsyncClient,
        haulyard.AsyncJob,
        haulyard.AsyncProcessor,
        haulyard.AsyncShipper,
        haulyard.Plan,
        haulyard.RotatingSpool,
        haulyard.Rules,
    )
    methods = {name for each in described for name, _ in inspect.getmembers(each) if not name.startswith("_")}
    assert named_under_reference() == set(haulyard.__all__) | methods


def test_every_setting_and_property_is_named() -> None:
    from haulyard.client.arguments import Properties, SettingOptions

    words = set(re.findall(r"`(\w+)`", PAGE.read_text(encoding="utf-8")))
    assert words >= SettingOptions.__annotations__.keys() | Properties.__annotations__.keys()


def test_every_option_of_tables_is_named() -> None:
    words = set(re.findall(r"`(\w+)`", TABLES.read_text(encoding="utf-8").partition("## All options")[2]))
    assert words >= haulyard.TableOptions.__annotations__.keys()


def test_every_public_name_exists_and_no_other_does() -> None:
    for name in haulyard.__all__:
        assert getattr(haulyard, name) is not None
    assert dir(haulyard) == sorted(haulyard.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        haulyard.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_package_imports_nothing_else() -> None:
    script = (
        "import sys; before = set(sys.modules); import haulyard; print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    # An editable installation may have imported `__future__` before.
    assert set(done.stdout.split()) - {"__future__"} == {"haulyard", "haulyard._version"}
