from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.errors import ConfigError
from haulyard.jobs.planning.prices import load_prices

if TYPE_CHECKING:
    from pathlib import Path


def test_the_table_that_comes_along_has_a_price_for_everything() -> None:
    prices = load_prices()
    assert prices.request("write", "STANDARD") == pytest.approx(0.005 / 1_000)
    assert prices.request("read", "GLACIER_IR") == pytest.approx(0.01 / 1_000)
    assert prices.request("read", "") == prices.request("read", "STANDARD")
    assert prices.request("write", "A_CLASS_OF_TOMORROW") == prices.request("write", "STANDARD")
    assert prices.restore("DEEP_ARCHIVE", "Bulk") == pytest.approx(0.025 / 1_000)
    assert prices.restore("GLACIER", "Bulk") == 0.0
    assert prices.restore("OTHER", "Bulk") == prices.request("write", "STANDARD")
    assert "us-east-1" in prices.source


def test_a_table_of_ones_own_replaces_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text('source = "ours"\n[class.STANDARD]\nwrite = 1\n[class.OURS]\nread = 2.5\n')
    prices = load_prices(str(path))
    assert prices.source == "ours"
    assert prices.request("write", "STANDARD") == pytest.approx(0.001)
    assert prices.request("read", "STANDARD") == load_prices().request("read", "STANDARD")
    assert prices.request("read", "OURS") == pytest.approx(0.0025)
    assert prices.request("write", "OURS") == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("price = [", "is no TOML"),
        ("prize = 1", "unknown keys: prize"),
        ("[class.STANDARD]\nwrite = -1", r"class\.STANDARD\.write is no price"),
        ("[class.STANDARD]\nwrite = true", r"class\.STANDARD\.write is no price"),
        ('[class.STANDARD]\nwrite = "1"', r"class\.STANDARD\.write is no price"),
        ("[class.STANDARD]\nwrite = inf", r"class\.STANDARD\.write is no price"),
        ("[class.STANDARD]\nlist = 1", r"class\.STANDARD has a price for list"),
        ("class = 1", r"class\.class\.class is no price"),
        ("[class]\nSTANDARD = 1", r"class\.STANDARD\.STANDARD is no price"),
    ],
)
def test_what_is_no_table_of_prices_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=problem):
        load_prices(str(path))


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read"):
        load_prices(str(tmp_path / "none.toml"))
