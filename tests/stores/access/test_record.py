from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.stores.access.record import MAX_AGE, EndpointRecord

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROVED = {"conditional_put": True, "ordered_listing": False}


@pytest.fixture
def record(tmp_path: Path) -> EndpointRecord:
    return EndpointRecord(str(tmp_path / "state"), "https://store.example")


def change(record: EndpointRecord, **fields: Any) -> None:
    with open(record.path, encoding="utf-8") as file:
        content = json.load(file)
    with open(record.path, "w", encoding="utf-8") as file:
        json.dump({**content, **fields}, file)


def test_nothing_is_known_of_an_endpoint_that_was_not_proved(record: EndpointRecord) -> None:
    assert record.read(NOW) is None


def test_what_was_proved_is_known_for_thirty_days(record: EndpointRecord) -> None:
    record.write(PROVED, NOW)
    assert record.read(NOW) == PROVED
    assert record.read(NOW + MAX_AGE - timedelta(seconds=1)) == PROVED
    assert record.read(NOW + MAX_AGE) is None


def test_a_date_in_the_future_is_not_believed(record: EndpointRecord) -> None:
    record.write(PROVED, NOW)
    assert record.read(NOW - timedelta(minutes=1)) is None


def test_a_file_holds_endpoint_date_and_version(record: EndpointRecord) -> None:
    record.write(PROVED, NOW)
    with open(record.path, encoding="utf-8") as file:
        assert json.load(file) == {
            "version": 1,
            "endpoint": "https://store.example",
            "proved": "2026-03-01T12:00:00+00:00",
            "capabilities": PROVED,
        }


@pytest.mark.parametrize(
    "fields",
    [{"version": 0}, {"endpoint": "https://other.example"}, {"proved": "yesterday"}, {"capabilities": []}],
)
def test_a_record_of_another_version_or_endpoint_or_shape_is_not_believed(
    record: EndpointRecord, fields: dict[str, object]
) -> None:
    record.write(PROVED, NOW)
    change(record, **fields)
    assert record.read(NOW) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 1}'])
def test_a_damaged_file_counts_as_none(record: EndpointRecord, text: str) -> None:
    record.write(PROVED, NOW)
    with open(record.path, "w", encoding="utf-8") as file:
        file.write(text)
    assert record.read(NOW) is None


def test_a_new_record_replaces_the_old_one_in_one_step(record: EndpointRecord) -> None:
    record.write(PROVED, NOW)
    with open(record.path, encoding="utf-8") as reader:
        record.write({"conditional_put": False}, NOW)
        assert json.load(reader)["capabilities"] == PROVED
    assert record.read(NOW) == {"conditional_put": False}
    assert os.listdir(os.path.dirname(record.path)) == [os.path.basename(record.path)]


def test_a_record_that_cannot_be_written_leaves_no_draft(record: EndpointRecord) -> None:
    os.makedirs(record.path)
    with pytest.raises(OSError, match="directory"):
        record.write(PROVED, NOW)
    assert os.listdir(os.path.dirname(record.path)) == [os.path.basename(record.path)]
