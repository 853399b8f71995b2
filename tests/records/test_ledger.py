from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from tests.records.ledgers import START, all_letters, letter, make_job, make_ledger, sources

from haulyard.errors import JobError, UnsafeName
from haulyard.journal.folder import JobFolder
from haulyard.records.ledger import Commit, Ledger
from haulyard.records.model import SourceObject

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return make_job(str(tmp_path))


def _tamper(folder: JobFolder, *statements: str) -> None:
    with closing(sqlite3.connect(f"{folder.path}/records.db", isolation_level=None)) as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount != 0, "the statement changed nothing"


def _numbered(n: int) -> Commit:
    """Return the commit number ``n``: each field is changed with it, and each row follows from it."""
    return Commit(
        progress={"n": n},
        account={"n": n},
        answers={"n": n} if n % 2 else None,
        letters=[letter(n * 10 + at) for at in range(n % 3)],
        resolved=[n // 2] if n % 3 == 1 and n > 1 else [],
        unread={1: f"reason {n}"} if n == 4 else {},
        at=START + n,
    )


def test_everything_comes_back_as_it_was_committed(folder: JobFolder) -> None:
    with make_ledger(folder) as ledger:
        ledger.commit(Commit({"watermark": [1, 0, 0]}, {"delivered": 3}, [1.5], {"lengths": [7]}))
        ledger.commit(Commit(letters=[letter(3), letter(5, 2, "failed", at=START + 0.123)]))
        ledger.commit(Commit(account={"delivered": 4}, resolved=[1], at=START + 9))
    with Ledger.open(folder) as ledger:
        state = ledger.state()
        assert (state.seq, state.letters, state.resolved, state.unread) == (3, 2, 1, 0)
        assert (state.progress, state.account) == ({"watermark": [1, 0, 0]}, {"delivered": 4})
        assert (state.windows, state.answers) == ([1.5], {"lengths": [7]})
        first, second = all_letters(ledger)
        assert (first.id, first.letter, first.resolved) == (1, letter(3), START + 9)
        assert (second.id, second.letter, second.resolved) == (2, letter(5, 2, "failed", at=START + 0.123), 0)
        assert second.source == sources(1, 2)[0]
        assert all_letters(ledger, unresolved_only=True) == [second]


def test_objects_come_in_pages_and_in_order(folder: JobFolder) -> None:
    with Ledger.create(folder) as ledger:
        ledger.add_objects(sources(700))
        ledger.add_objects(sources(1800, 701))
        assert ledger.seal_objects() == (2500, sum(range(2501)) * 100)
    with Ledger.open(folder, read_only=True) as ledger:
        assert [len(page) for page in ledger.objects()] == [1000, 1000, 500]
        assert [each for page in ledger.objects(1999) for each in page] == sources(501, 2000)
        assert ledger.source(1234) == sources(1, 1234)[0]
        with pytest.raises(JobError, match="at object 2501"):
            ledger.source(2501)


def test_a_listing_that_was_cut_off_is_done_again(folder: JobFolder) -> None:
    with Ledger.create(folder) as ledger:
        ledger.add_objects(sources(5))
    with Ledger.open(folder, read_only=True) as ledger:
        assert ledger.listed is None
        with pytest.raises(JobError, match="not finished"):
            next(ledger.objects())
    with Ledger.open(folder) as ledger:
        with pytest.raises(JobError, match="not finished"):
            ledger.commit(Commit(progress={}))
        ledger.add_objects(sources(2))
        assert ledger.seal_objects() == (2, 300)
        assert list(ledger.objects()) == [sources(2)]


def test_a_job_without_objects_is_listed_too(folder: JobFolder) -> None:
    with Ledger.create(folder) as ledger:
        assert ledger.seal_objects() == (0, 0)
        assert list(ledger.objects()) == []


def test_ids_that_do_not_follow_are_a_mistake(folder: JobFolder) -> None:
    with Ledger.create(folder) as ledger, pytest.raises(ValueError, match="count from 1"):
        ledger.add_objects(sources(2, 2))


def test_a_key_that_is_no_text_is_refused(folder: JobFolder) -> None:
    with Ledger.create(folder) as ledger, pytest.raises(UnsafeName, match="not UTF-8"):
        ledger.add_objects([SourceObject(1, "in/\udcff", 1, '"e"')])


def test_there_is_one_ledger_a_job(folder: JobFolder) -> None:
    assert not Ledger.exists(folder)
    with pytest.raises(JobError, match="is missing"):
        Ledger.open(folder)
    make_ledger(folder).close()
    assert Ledger.exists(folder)
    with pytest.raises(JobError, match="there already"):
        Ledger.create(folder)


def test_a_letter_at_the_place_of_another_takes_it(folder: JobFolder) -> None:
    with make_ledger(folder) as ledger:
        ledger.commit(Commit(letters=[letter(3), letter(4)]))
        ledger.commit(Commit(letters=[letter(3, attempts=5, reason="again"), letter(5)]))
        assert [(each.id, each.letter.attempts) for each in all_letters(ledger)] == [(1, 5), (2, 1), (3, 1)]
    with Ledger.open(folder) as ledger:
        assert ledger.state().letters == 3


def test_resolving_twice_counts_once(folder: JobFolder) -> None:
    with make_ledger(folder) as ledger:
        ledger.commit(Commit(letters=[letter(1), letter(2)]))
        ledger.commit(Commit(resolved=[1], at=START))
        ledger.commit(Commit(resolved=[1, 2], at=START + 1))
        assert [each.resolved for each in all_letters(ledger)] == [START, START + 1]
        assert ledger.state().resolved == 2


def test_what_is_no_text_in_a_reason_is_spelled_out(folder: JobFolder) -> None:
    with make_ledger(folder) as ledger:
        ledger.commit(Commit(letters=[letter(1, reason="odd \udcff", record=b"\xff\x00", answer=b"\xfe")]))
        (kept,) = all_letters(ledger)
    assert kept.letter.reason == "odd \\udcff"
    assert (kept.letter.record, kept.letter.answer) == (b"\xff\x00", b"\xfe")


def test_objects_that_cannot_be_read_are_remembered_until_they_can(folder: JobFolder) -> None:
    with make_ledger(folder) as ledger:
        ledger.commit(Commit(unread={2: "cut short", 3: "gone"}))
        ledger.commit(Commit(unread={2: "", 3: "still gone"}))
        assert ledger.unread() == {3: "still gone"}


def test_a_reader_sees_the_commits_of_a_writer(folder: JobFolder) -> None:
    with make_ledger(folder) as ledger, Ledger.open(folder, read_only=True) as reader:
        for n in range(1, 6):
            ledger.commit(_numbered(n))
            assert reader.state().progress == {"n": n}
        with pytest.raises(JobError, match="not open for work"):
            reader.commit(Commit(progress={}))


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE state SET body = '{\"n\":7}' WHERE name = 'progress'", "in its state 'progress'"),
        ("UPDATE state SET crc = crc + 1 WHERE name = 'head'", "in its state 'head'"),
        ("DELETE FROM state WHERE name = 'account'", "of several commits"),
        ("DELETE FROM state WHERE name = 'head'", "in its state"),
        ("DELETE FROM state", "in its dead letters"),
        ("DELETE FROM letter WHERE id = 1", "in its dead letters"),
        ("DELETE FROM resolution", "in its dead letters"),
        ("DELETE FROM unread", "in its dead letters"),
        ("UPDATE meta SET value = '3 1' WHERE name = 'objects'", "in its meta row"),
        ("UPDATE meta SET value = '0' WHERE name = 'id'", "in its meta row"),
    ],
)
def test_a_tampered_ledger_is_not_opened(folder: JobFolder, statement: str, said: str) -> None:
    with make_ledger(folder) as ledger:
        for n in range(1, 6):
            ledger.commit(_numbered(n))
    _tamper(folder, statement)
    for read_only in (True, False):
        with pytest.raises(JobError, match=said):
            Ledger.open(folder, read_only=read_only)


def test_state_of_an_earlier_commit_does_not_go_with_that_of_a_later_one(folder: JobFolder) -> None:
    with make_ledger(folder) as ledger:
        ledger.commit(_numbered(1))
        _tamper(folder, "CREATE TABLE old AS SELECT * FROM state WHERE name = 'progress'")
        ledger.commit(_numbered(2))
    _tamper(folder, "INSERT OR REPLACE INTO state SELECT * FROM old")
    with pytest.raises(JobError, match="of several commits"):
        Ledger.open(folder)


def test_rows_of_another_ledger_do_not_fit(folder: JobFolder, tmp_path: Path) -> None:
    other = make_job(str(tmp_path), "other")
    for each in (folder, other):
        with make_ledger(each) as ledger:
            ledger.commit(_numbered(1))
    _tamper(
        folder,
        f"ATTACH '{other.path}/records.db' AS o",
        "INSERT OR REPLACE INTO main.state SELECT * FROM o.state",
    )
    with pytest.raises(JobError, match="in its state"):
        Ledger.open(folder)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE letter SET reason = 'x' WHERE id = 1",
        "UPDATE letter SET record = 'x' WHERE id = 1",
        "UPDATE letter SET object = 2 WHERE id = 1",
        "UPDATE resolution SET at = at + 1 WHERE letter = 1",
        "UPDATE object SET key = 'x' WHERE id = 1",
        "DELETE FROM object WHERE id = 1",
    ],
)
def test_a_tampered_letter_is_not_told(folder: JobFolder, statement: str) -> None:
    with make_ledger(folder) as ledger:
        ledger.commit(Commit(letters=[letter(1)]))
        ledger.commit(Commit(resolved=[1], at=START))
    _tamper(folder, statement)
    with Ledger.open(folder) as ledger, pytest.raises(JobError, match="is damaged"):
        all_letters(ledger)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE object SET etag = 'x' WHERE id = 2", "DELETE FROM object WHERE id = 2", "DELETE FROM object"],
)
def test_a_tampered_listing_is_not_read(folder: JobFolder, statement: str) -> None:
    make_ledger(folder).close()
    _tamper(folder, statement)
    with Ledger.open(folder) as ledger, pytest.raises(JobError, match="is damaged"):
        list(ledger.objects())


def test_what_is_no_database_is_damaged(folder: JobFolder) -> None:
    make_ledger(folder).close()
    with open(f"{folder.path}/records.db", "r+b") as file:
        file.write(b"nothing of the kind")
    with pytest.raises(JobError, match="is damaged"):
        Ledger.open(folder)


def test_after_a_failure_nothing_is_written_any_more(
    folder: JobFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_ledger(folder) as ledger:
        ledger.commit(_numbered(1))

        def full(*_: object) -> int:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(ledger, "_execute", full)
            with pytest.raises(JobError, match=r"cannot be written.*nothing further was done"):
                ledger.commit(_numbered(2))
        with pytest.raises(JobError, match="nothing further was done"):
            ledger.commit(_numbered(3))
    with Ledger.open(folder) as ledger:
        assert ledger.state().progress == {"n": 1}
        ledger.commit(_numbered(2))


_CHILD = """
import json, os, resource, signal, sys
sys.path.insert(0, {root!r})
from tests.records.ledgers import make_job
from tests.records.test_ledger import go_on
from haulyard.errors import JobError
from haulyard.records.ledger import Ledger

execute, passed = Ledger._execute, 0

def point(kill_at):
    global passed
    passed += 1
    if passed == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)

def work(directory, kill_at, size):
    def counted(self, *arguments):
        point(kill_at)
        result = execute(self, *arguments)
        point(kill_at)
        return result
    Ledger._execute = counted
    if size:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    folder = make_job(directory)
    try:
        go_on(folder, lambda n: os.write(told, b"%d" % n))
    except JobError as error:
        os.write(told, json.dumps(str(error)).encode())
        return 2
    return 0

for directory, kill_at, size in json.loads(sys.argv[1]):
    os.mkdir(directory)
    told = os.open(os.path.join(directory, "told"), os.O_WRONLY | os.O_CREAT)
    pid = os.fork()
    if not pid:
        os._exit(work(directory, kill_at, size))
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def go_on(folder: JobFolder, tell: Callable[[int], object] = lambda _: None) -> None:
    """List, and commit up to number 6; each is told when it has returned."""
    with Ledger.open(folder) if Ledger.exists(folder) else Ledger.create(folder) as ledger:
        if ledger.listed is None:
            ledger.add_objects(sources(3))
            ledger.seal_objects()
        for n in range(ledger.state().seq + 1, 7):
            ledger.commit(_numbered(n))
            tell(n)


def _children(orders: list[tuple[str, int, int]]) -> list[tuple[int, int, str]]:
    """Work in processes of their own (directory, the point of death, the size that no file may pass).

    Return of each the exit code, the last commit it told, and why it stopped.
    """
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    done = subprocess.run(
        [sys.executable, "-c", _CHILD.format(root=root), json.dumps(orders)],
        capture_output=True,
        text=True,
        check=True,
        # What is killed tells no coverage.
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")},
    )
    ends = []
    for (directory, _, _), code in zip(orders, done.stdout.split(), strict=True):
        numbers, _, why = Path(directory, "told").read_text().partition('"')
        ends.append((int(code), int(numbers[-1:] or 0), why))
    return ends


def _check_at(ledger: Ledger, seq: int) -> None:
    """Check that the ledger is exactly as the commits 1 to ``seq`` make it."""
    state = ledger.state()
    assert state.seq == seq
    assert state.progress == state.account == ({"n": seq} if seq else None)
    assert [each.letter for each in all_letters(ledger)] == [
        each for n in range(1, seq + 1) for each in _numbered(n).letters
    ]
    resolved = {number for n in range(1, seq + 1) for number in _numbered(n).resolved}
    assert {each.id for each in all_letters(ledger) if each.resolved} == resolved
    assert ledger.unread() == ({1: "reason 4"} if seq >= 4 else {})


def test_killed_at_any_statement_it_holds_whole_commits_and_all_that_returned(tmp_path: Path) -> None:
    orders = [(str(tmp_path / str(at)), at, 0) for at in range(1, 51)]
    ends, seen = _children(orders), set()
    # There are 46 points; the last ones were not reached.
    assert [code for code, _, _ in ends] == [-signal.SIGKILL] * 46 + [0] * 4
    for (directory, _, _), (_, told, _) in zip(orders, ends, strict=True):
        folder = JobFolder.open(directory, "job")
        with Ledger.open(folder) as ledger:
            seq = ledger.state().seq
            assert told <= seq <= told + 1
            _check_at(ledger, seq)
        seen.add(seq)
        go_on(folder)
        with Ledger.open(folder) as ledger:
            _check_at(ledger, 6)
    assert seen == set(range(7))


def test_a_disk_that_is_full_stops_it_between_commits(tmp_path: Path) -> None:
    orders = [(str(tmp_path / str(size)), 0, size) for size in range(24_000, 240_000, 12_000)]
    ends = _children(orders)
    for (directory, _, _), (code, told, why) in zip(orders, ends, strict=True):
        folder = JobFolder.open(directory, "job")
        if code:
            assert code == 2
            assert "cannot be written" in why
        if Ledger.exists(folder):
            with Ledger.open(folder) as ledger:
                assert ledger.state().seq == told
                _check_at(ledger, told)
        go_on(folder)
        with Ledger.open(folder) as ledger:
            _check_at(ledger, 6)
    # The first had no room at all, the last had enough.
    assert ends[0][:2] == (2, 0)
    assert ends[-1][:2] == (0, 6)
    assert [told for _, told, _ in ends] == sorted(told for _, told, _ in ends)


def test_a_commit_of_ten_thousand_letters_is_written_at_once(folder: JobFolder) -> None:
    with make_ledger(folder) as ledger:
        with mock.patch.object(ledger, "_execute", wraps=ledger._execute) as execute:
            ledger.commit(Commit(progress={}, letters=[letter(row) for row in range(10_000)]))
        # Each statement may wait for the GIL.
        assert execute.call_count < 60
        assert len(all_letters(ledger)) == 10_000


def test_a_commit_without_letters_is_one_statement_of_less_than_a_millisecond(folder: JobFolder) -> None:
    progress = {"watermark": [1, 0, 0], "blocks": [[1, at, 1000, "f" * 250] for at in range(10)]}
    account = {"durations": list(range(1400)), "bins": [[at, 1, 1] for at in range(300)]}
    with make_ledger(folder) as ledger:
        began = time.process_time()
        for _ in range(100):
            ledger.commit(Commit(progress, account))
        took = (time.process_time() - began) / 100
    # Measured: 0.2 ms; twice the bound leaves room for a busy machine.
    assert took < 0.002
