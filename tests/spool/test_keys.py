"""The key, the date and the type that a name gives."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from haulyard.errors import ConfigError, UnsafeName
from haulyard.spool.keys import BY_DATE, KeyRules, date_of, key_of, suffixed, type_of

MODIFIED = datetime(2024, 2, 29, tzinfo=UTC).timestamp()
NOW = datetime(2026, 1, 2, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("20250729_161500.xml", datetime(2025, 7, 29, 16, 15, tzinfo=UTC)),
        ("20250729_161500-2.xml.gz", datetime(2025, 7, 29, 16, 15, tzinfo=UTC)),
        ("events-2025-07-29.json", datetime(2025, 7, 29, tzinfo=UTC)),
        ("20250729_996100.xml", datetime(2025, 7, 29, tzinfo=UTC)),
        ("20251399_000000-20250101.xml", datetime(2025, 1, 1, tzinfo=UTC)),
        ("1234567890.xml", None),
        ("20250230.xml", None),
        ("report.xml", None),
        ("00000101.xml", None),
    ],
)
def test_a_name_has_the_first_date_in_it_that_is_valid(name: str, date: datetime | None) -> None:
    assert date_of(name) == date


@pytest.mark.parametrize(
    ("name", "date_from", "key"),
    [
        ("20250729_161500.xml", "mtime", "p/2025/07/29/20250729_161500.xml"),
        ("report.xml", "mtime", "p/2024/02/29/report.xml"),
        ("report.xml", "now", "p/2026/01/02/report.xml"),
        ("report.xml", "none", "p/report.xml"),
    ],
)
def test_a_name_without_a_date_gets_that_of_the_file_of_today_or_none(
    name: str, date_from: str, key: str
) -> None:
    rules = KeyRules("p/", BY_DATE, date_from)  # type: ignore[arg-type]
    found = key_of(name, rules, modified=MODIFIED, now=NOW)
    assert found.key == key
    assert found.is_guessed == (name == "report.xml")


def test_without_date_folders_no_date_is_missed() -> None:
    assert key_of("report.xml", KeyRules("p/"), modified=MODIFIED, now=NOW) == ("p/report.xml", False)


def test_a_template_lays_keys_out_otherwise() -> None:
    rules = KeyRules("p/", "{prefix}{host}/{date:%Y}/{stem}.{extension}", host="h")
    key = key_of("20250729_161500.xml.gz", rules, modified=MODIFIED, now=NOW).key
    assert key == "p/h/2025/20250729_161500.xml.gz"


@pytest.mark.parametrize(
    "template", ["{prefix}", "{name}{size}", "{name", "{name.__class__}", "{date:%Y}", "{name:d}", "{name!z}"]
)
def test_a_template_that_makes_no_keys_is_refused(template: str) -> None:
    with pytest.raises(ConfigError):
        KeyRules("p/", template)


@pytest.mark.parametrize("name", ["caf\udce9.xml", "x" * 1025])
def test_a_name_that_no_key_can_hold_is_refused(name: str) -> None:
    with pytest.raises(UnsafeName):
        key_of(name, KeyRules(), modified=MODIFIED, now=NOW)


def test_a_key_beside_another_keeps_folder_and_extensions() -> None:
    assert suffixed("a.b/c.xml.gz", 2) == "a.b/c-2.xml.gz"
    assert suffixed("a/c", 1) == "a/c-1"
    assert suffixed("a/c", 0) == "a/c"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.xml", ("application/xml", "")),
        ("a.json", ("application/json", "")),
        ("a.xml.gz", ("application/xml", "gzip")),
        ("a.json.zst", ("application/json", "zstd")),
        ("a.events", ("application/xml", "")),
        ("a", ("application/xml", "")),
        ("a.csv.GZ", ("text/csv", "gzip")),
    ],
)
def test_the_type_follows_the_extensions_and_is_xml_where_nothing_else_fits(
    name: str, kind: tuple[str, str]
) -> None:
    assert type_of(name) == kind
