from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.records.ledgers import START, letter, make_job, make_ledger

from haulyard.errors import JobError
from haulyard.records import letters
from haulyard.records.ledger import Commit
from haulyard.records.letters import lines, write_letters
from haulyard.records.telling import moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haulyard.records.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with make_ledger(make_job(str(tmp_path))) as made:
        yield made


def _told(ledger: Ledger, **options: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(ledger, **options)]


def test_a_letter_says_all_that_is_known_of_it(ledger: Ledger) -> None:
    ledger.commit(Commit(letters=[letter(3, attempts=2, at=START + 0.25)]))
    assert _told(ledger) == [
        {
            "id": 1,
            "address": {"object": "in/1.csv", "etag": "e1", "offset": 0, "row": 3},
            "line": 5,
            "part": 0,
            "kind": "rejected",
            "reason": "422 no such city",
            "attempts": 2,
            "status": 422,
            "record": {"city": "?"},
            "answer": {"error": "no such city"},
            "at": "2025-10-09T08:53:20.250Z",
        }
    ]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (b'{"a":1', '{"a":1'),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"", ""),
        (b"a\nb", "a\nb"),
        (b'"text"', "text"),
        (b' {"a":1}\r\n', {"a": 1}),
        (b'{\n"a": [1,\n2]}', {"a": [1, 2]}),
        (b"NaN", "NaN"),
    ],
)
def test_what_is_no_json_is_told_as_text(ledger: Ledger, record: bytes, said: object) -> None:
    ledger.commit(Commit(letters=[letter(1, record=record, answer=record)]))
    written = list(lines(ledger))
    assert [line.count(b"\n") for line in written] == [1]
    assert (json.loads(written[0])["record"], json.loads(written[0])["answer"]) == (said, said)


def test_numbers_come_out_as_they_went_in(ledger: Ledger) -> None:
    ledger.commit(Commit(letters=[letter(1, record=b'{"id":123456789012345678901234567890,"x":1.10}')]))
    assert b'"record":{"id":123456789012345678901234567890,"x":1.10}' in next(lines(ledger))


def test_those_that_were_delivered_after_all_say_when_or_are_left_out(ledger: Ledger) -> None:
    ledger.commit(Commit(letters=[letter(1), letter(2)]))
    ledger.commit(Commit(resolved=[1], at=START + 60))
    assert [each.get("resolved") for each in _told(ledger)] == [moment(START + 60), None]
    assert [each["id"] for each in _told(ledger, unresolved_only=True)] == [2]


def test_the_file_is_written_as_a_whole(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "letters.jsonl"
    ledger.commit(Commit(letters=[letter(row) for row in range(250)]))
    assert write_letters(ledger, str(path)) == 250
    before = path.read_bytes()
    assert [json.loads(line)["address"]["row"] for line in before.splitlines()] == list(range(250))

    def broken(*_: object, **__: object) -> Iterator[bytes]:
        yield b"{}\n"
        raise JobError("damaged")

    monkeypatch.setattr(letters, "lines", broken)
    with pytest.raises(JobError, match="damaged"):
        write_letters(ledger, str(path))
    assert path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["job", "letters.jsonl"]


def test_no_letters_are_an_empty_file(ledger: Ledger, tmp_path: Path) -> None:
    assert write_letters(ledger, str(tmp_path / "letters.jsonl")) == 0
    assert Path(tmp_path, "letters.jsonl").read_bytes() == b""


def test_a_place_that_cannot_be_written_is_said(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(JobError, match="cannot be written: No such file or directory"):
        write_letters(ledger, str(tmp_path / "none" / "letters.jsonl"))
