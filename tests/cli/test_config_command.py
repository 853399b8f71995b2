"""`haul config`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.cli.config import mask
from haulyard.config import PROCESSING, SETTINGS, SHIPPING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Box


def test_every_setting_is_shown_with_its_origin(haul: Box, tmp_path: Path) -> None:
    (tmp_path / "haul.toml").write_text("retries = 7")
    haul.environ["AWS_REGION"] = "eu-west-1"
    events = {event["name"]: event for event in haul("config", "--json", "--concurrency", "8").events}
    shipping = [f"ship.{name}" if name in SETTINGS else name for name in SHIPPING]
    assert list(events) == [*SETTINGS, *PROCESSING, *shipping]
    shown = {name: (event.get("value"), event["origin"]) for name, event in events.items()}
    assert shown["concurrency"] == (8, "--concurrency")
    assert shown["region"] == ("eu-west-1", "AWS_REGION")
    assert shown["retries"] == (7, "haul.toml")
    assert shown["bwlimit"] == (0, "default")
    assert events["region"]["variable"] == "HAUL_REGION"


def test_secrets_are_masked(haul: Box, tmp_path: Path) -> None:
    haul.environ["AWS_ACCESS_KEY_ID"] = "AKIAHIDDENHIDDENSEEN"
    (tmp_path / ".env").write_text("AWS_SECRET_ACCESS_KEY=abcdefghijklmnopqrst\nAWS_SESSION_TOKEN=short")
    result = haul("config")
    assert "AKIA****SEEN" in result.out
    assert "****qrst" in result.out
    assert "abcdef" not in result.out
    assert "short" not in result.out
    assert "AWS_SECRET_ACCESS_KEY" in result.out


def test_settings_of_process_are_among_them_without_the_query_of_a_url(haul: Box) -> None:
    haul.environ |= {"RATE_LIMIT_CALLS": "10", "API_ENDPOINT": "https://api.example.com/v1?key=hidden"}
    events = {event["name"]: event for event in haul("config", "--json").events}
    assert (events["rate_limit_calls"]["value"], events["rate_limit_calls"]["origin"]) == (
        10,
        "RATE_LIMIT_CALLS",
    )
    assert (events["batch_size"]["value"], events["batch_size"]["origin"]) == (1000, "default")
    assert events["api_endpoint"]["value"] == "https://api.example.com/v1?…"


def test_short_secrets_show_nothing() -> None:
    assert mask("short") == "****"
    assert mask("x" * 12 + "last") == "****last"


def test_the_columns_are_aligned_and_the_variables_are_what_the_help_says(haul: Box) -> None:
    haul.environ["HAUL_STATE_DIR"] = "/a/very/long/path/that/is/longer/than/any/other/value"
    result = haul("config")
    begins = {len(line) - len(line.split(maxsplit=2)[2]) for line in result.out.splitlines()}
    assert len(begins) == 1
    assert all(setting.variable == f"HAUL_{name.upper()}" for name, setting in SETTINGS.items())
