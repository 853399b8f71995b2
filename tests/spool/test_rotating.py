from __future__ import annotations

import errno
import gzip
import json
import os
import signal
import threading
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import zstandard

from haulyard.errors import ConfigError, JobError, SpoolError
from haulyard.events import Warned
from haulyard.spool.rotating import RotatingSpool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from haulyard.events import Event
    from haulyard.spool.rotating import Rotated

pytestmark = pytest.mark.anyio
NOON = 1753790400.0
FORMS = pytest.mark.parametrize("form", ["json", "xml"])
COMPRESSIONS = pytest.mark.parametrize("compress", ["", "gzip", "zstd"])


def event(form: str, number: int) -> bytes:
    return f'{{"id": {number}}}'.encode() if form == "json" else f'<event id="{number}"/>'.encode()


def content(path: Path) -> bytes:
    data = path.read_bytes()
    if path.name.endswith(".gz"):
        return gzip.decompress(data)
    if path.name.endswith(".zst"):
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


def ids(path: Path) -> list[int]:
    """Return what is in a finished file, read as anybody would."""
    if ".json" in path.name:
        return [json.loads(line)["id"] for line in content(path).splitlines()]
    return [int(each.attrib["id"]) for each in ET.fromstring(content(path))]  # noqa: S314 -- our own file


def files(directory: Path) -> list[Path]:
    found = [each for each in directory.iterdir() if each.is_file()]
    assert not [each for each in found if each.name.endswith(".active") or each.name.startswith(".")]
    return sorted(found, key=lambda each: (each.stat().st_mtime_ns, each.name))


def all_ids(directory: Path) -> list[int]:
    return [each for path in files(directory) for each in ids(path)]


def rejected(directory: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted((directory / "rejected").iterdir())
        for line in path.read_bytes().splitlines()
    ]


@FORMS
@COMPRESSIONS
def test_what_was_written_is_in_one_finished_file(tmp_path: Path, form: Any, compress: str) -> None:
    with RotatingSpool(tmp_path, form=form, compress=compress, clock=lambda: NOON) as spool:
        assert spool.write(event(form, number) for number in range(100)).accepted == 100
        assert spool.write([event(form, 100).decode()]).accepted == 1
        assert spool.write([]).accepted == 0
    (path,) = files(tmp_path)
    ending = {"": "", "gzip": ".gz", "zstd": ".zst"}[compress]
    assert path.name == f"20250729_120000.{form}{ending}"
    assert ids(path) == list(range(101))


def test_a_file_of_xml_is_one_document_with_the_root_of_ones_choice(tmp_path: Path) -> None:
    with RotatingSpool(tmp_path, form="xml", root="orders") as spool:
        spool.write([b'<?xml version="1.0"?><o>1</o>', "<o>ä</o>"])
    assert content(files(tmp_path)[0]).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<orders>\n<o>1</o>\n<o>ä</o>\n</orders>\n'
    )


@FORMS
def test_no_file_has_more_events_or_bytes_than_it_may(tmp_path: Path, form: Any) -> None:
    with RotatingSpool(tmp_path / "count", form=form, max_events=7) as spool:
        spool.write(event(form, number) for number in range(30))
    assert sorted(len(ids(path)) for path in files(tmp_path / "count")) == [2, 7, 7, 7, 7]
    with RotatingSpool(tmp_path / "size", form=form, max_bytes=200) as spool:
        for number in range(0, 40, 4):
            spool.write(event(form, each) for each in range(number, number + 4))
    sizes = [path.stat().st_size for path in files(tmp_path / "size")]
    assert max(sizes) <= 200
    assert min(sizes[:-1]) > 200 - 40
    assert sorted(all_ids(tmp_path / "size")) == list(range(40))


def test_an_event_that_is_longer_than_a_file_may_be_has_one_of_its_own(tmp_path: Path) -> None:
    long = json.dumps({"id": 1, "text": "x" * 500}).encode()
    with RotatingSpool(tmp_path, max_bytes=100) as spool:
        spool.write([event("json", 0), long, event("json", 2)])
    assert sorted(map(ids, files(tmp_path))) == [[0], [1], [2]]


@COMPRESSIONS
def test_compressed_files_end_near_their_size(tmp_path: Path, compress: str) -> None:
    texts = [json.dumps({"id": each, "noise": os.urandom(500).hex()}).encode() for each in range(6000)]
    with RotatingSpool(tmp_path, compress=compress, max_bytes=1 << 20) as spool:
        spool.write(texts)
    assert len(files(tmp_path)) >= 2
    assert max(path.stat().st_size for path in files(tmp_path)) < 2 << 20
    assert sorted(all_ids(tmp_path)) == list(range(6000))


def test_a_file_ends_by_its_age_though_nothing_else_is_written(tmp_path: Path) -> None:
    ended = threading.Event()
    told: list[Rotated] = []

    def on_rotated(rotated: Rotated) -> None:
        told.append(rotated)
        ended.set()

    with RotatingSpool(tmp_path, max_age=0.01, on_rotated=on_rotated) as spool:
        spool.write([b'{"id": 1}'])
        assert ended.wait(30)
    assert [(each.why, each.events) for each in told] == [("age", 1)]
    assert all_ids(tmp_path) == [1]


def test_a_file_ends_when_it_is_asked_for_and_an_empty_one_never_begins(tmp_path: Path) -> None:
    with RotatingSpool(tmp_path) as spool:
        assert spool.rotate() is None
        spool.write([b'{"id": 1}'])
        assert spool.rotate() == str(files(tmp_path)[0])
        assert spool.rotate() is None
    assert len(files(tmp_path)) == 1


def test_events_that_are_not_well_formed_are_kept_with_the_reason(tmp_path: Path) -> None:
    with RotatingSpool(tmp_path, clock=lambda: NOON) as spool:
        written = spool.write([b'{"id": 1}', b"nonsense", b"\xff", '{"id": 2}'])
        assert (written.accepted, len(written.rejected)) == (2, 2)
        assert (spool.accepted, spool.rejected) == (2, 2)
    first, second = rejected(tmp_path)
    assert (first["event"], first["time"]) == ("nonsense", "2025-07-29T12:00:00Z")
    assert "not JSON" in first["reason"]
    assert second["event_base64"] == "/w=="
    assert (tmp_path / "rejected" / "20250729.jsonl").exists()


def test_a_torn_line_of_rejects_is_cut(tmp_path: Path) -> None:
    (tmp_path / "rejected").mkdir()
    path = tmp_path / "rejected" / "20250729.jsonl"
    path.write_bytes(b'{"event": "a"}\n{"event": "' + b"b" * 200_000)
    with RotatingSpool(tmp_path, clock=lambda: NOON) as spool:
        spool.write([b"c", b"d"])
    assert [each["event"] for each in rejected(tmp_path)] == ["a", "c", "d"]


def test_names_are_never_given_again_though_files_are_gone_and_the_clock_steps_back(tmp_path: Path) -> None:
    names = []
    for now in (NOON, NOON + 5, NOON, NOON + 5, NOON - 86400, NOON):
        with RotatingSpool(tmp_path, clock=lambda now=now: now) as spool:  # type: ignore[misc]
            spool.write([b"{}"])
        (path,) = files(tmp_path)
        names.append(path.name)
        path.unlink()
    assert len(set(names)) == len(names)
    assert names[:2] == ["20250729_120000.json", "20250729_120005.json"]


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    theirs = [tmp_path / name for name in ("20250729_120000.xml", "20250729_120000-1.json.gz")]
    for each in theirs:
        each.write_bytes(b"theirs")
    with RotatingSpool(tmp_path, clock=lambda: NOON) as spool:
        (tmp_path / "20250729_120000-2.json.zst").write_bytes(b"theirs")
        spool.write([b"{}"])
        (tmp_path / "20250729_120000-3.json").write_bytes(b"theirs")
    assert (tmp_path / "20250729_120000-4.json").read_bytes() == b"{}\n"
    for each in (*theirs, tmp_path / "20250729_120000-3.json"):
        assert each.read_bytes() == b"theirs"


def test_one_at_a_time_has_the_directory(tmp_path: Path) -> None:
    with RotatingSpool(tmp_path), pytest.raises(JobError, match=f"locked by process {os.getpid()}"):
        RotatingSpool(tmp_path)
    RotatingSpool(tmp_path).close()


def test_arguments_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    for options in ({"form": "csv"}, {"root": "a b"}, {"root": ""}, {"compress": "lzma"}):
        with pytest.raises(ConfigError):
            RotatingSpool(tmp_path, **options)  # type: ignore[arg-type]
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be a spool directory"):
        RotatingSpool(tmp_path / "file")


def test_a_closed_spool_takes_nothing(tmp_path: Path) -> None:
    spool = RotatingSpool(tmp_path)
    spool.close()
    spool.close()
    with pytest.raises(SpoolError, match="closed"):
        spool.write([b"{}"])


async def test_writing_in_a_thread_is_the_same(tmp_path: Path) -> None:
    with RotatingSpool(tmp_path) as spool:
        assert (await spool.awrite([b'{"id": 1}', b"x"])).accepted == 1
    assert all_ids(tmp_path) == [1]


# --- The disk


def test_while_the_disk_is_nearly_full_writing_waits_and_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Event] = []
    real = os.statvfs(tmp_path)
    looks = 0

    class Found:
        f_frsize = 4096
        f_blocks = real.f_blocks

        @property
        def f_bavail(self) -> int:
            nonlocal looks
            looks += 1
            return 10 if looks < 4 else 1 << 20

    spool = RotatingSpool(tmp_path, min_free=1 << 20, emit=told.append)
    monkeypatch.setattr("haulyard.spool.room._INTERVAL", 0.001)
    monkeypatch.setattr(os, "statvfs", lambda _: Found())
    spool.write([b'{"id": 1}'])
    spool.close()
    assert looks == 4
    assert all_ids(tmp_path) == [1]
    waits, goes_on = told
    assert isinstance(waits, Warned)
    assert "1048576 bytes are free: events wait" in waits.message
    assert isinstance(goes_on, Warned)
    assert "there is room again" in goes_on.message


def full_until(times: int, call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that writes half and then fails so often."""
    left = times

    def write(descriptor: int, data: memoryview) -> int:
        nonlocal left
        if left and len(data) > 1:
            left -= 1
            if left % 2:
                return int(call(descriptor, data[: len(data) // 2]))
            raise OSError(errno.ENOSPC, "No space left on device")
        return int(call(descriptor, data))

    return write


@FORMS
@COMPRESSIONS
def test_on_a_full_disk_writing_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Any, compress: str
) -> None:
    monkeypatch.setattr("haulyard.spool.room._INTERVAL", 0.001)
    monkeypatch.setattr(os, "write", full_until(10, os.write))
    with RotatingSpool(tmp_path, form=form, compress=compress) as spool:
        for number in range(20):
            spool.write([event(form, number)])
    assert all_ids(tmp_path) == list(range(20))


def test_who_waits_for_room_is_told_of_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = RotatingSpool(tmp_path, min_free=0)
    spool.write([b'{"id": 1}'])
    waiting = threading.Event()
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if b'"id": 2' in bytes(data):
            waiting.set()
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    errors: list[BaseException] = []

    def write() -> None:
        try:
            spool.write([b'{"id": 2}'])
        except SpoolError as error:
            errors.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    assert waiting.wait(30)
    spool.close()
    thread.join(30)
    assert "No space left" in str(errors[0])
    RotatingSpool(tmp_path).close()
    assert all_ids(tmp_path) == [1]


def test_a_disk_that_fails_makes_the_spool_fail_and_the_next_one_repairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = RotatingSpool(tmp_path)
    spool.write([b'{"id": 1}'])

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(SpoolError, match="cannot be written"):
            spool.write([b'{"id": 2}'])
    with pytest.raises(SpoolError, match="failed before"):
        spool.write([b'{"id": 3}'])
    spool.close()
    RotatingSpool(tmp_path).close()
    assert all_ids(tmp_path)[0] == 1


# --- Crashes


#: What a step of a process is: a call that changes something outside of it.
CALLS = ("open", "write", "fsync", "fdatasync", "rename", "replace", "unlink", "makedirs", "ftruncate")
KILLED = -signal.SIGKILL


def killed_at(step: int, work: Callable[[Callable[[int], object]], None]) -> tuple[bool, list[int]]:
    """Do ``work`` in a process that dies before a step, or in the midst of a write.

    Return whether it did, and what it has acknowledged by then.
    """
    heard, speak = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            acknowledge = os.write
            _die_at(step)
            work(lambda number: acknowledge(speak, bytes([number])))
            code = 0
        finally:
            os._exit(code)
    os.close(speak)
    with open(heard, "rb") as file:
        acknowledged = list(file.read())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in {0, KILLED}
    return code == KILLED, acknowledged


def _die() -> None:
    # By _exit it would write down its coverage first, and that of all tests before it.
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at(step: int) -> None:
    left = step

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if not left:
                if name == "write":
                    real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                _die()
            return real(*arguments, **options)

        return call

    for name in CALLS:
        setattr(os, name, wrapped(name, getattr(os, name)))


@FORMS
@COMPRESSIONS
def test_killed_at_every_step_no_acknowledged_event_is_lost_and_none_comes_twice(
    quick_path: Path, form: Any, compress: str
) -> None:
    def live(acknowledge: Callable[[int], object]) -> None:
        with RotatingSpool(
            directory, form=form, compress=compress, max_events=5, max_age=0, clock=lambda: NOON
        ) as spool:
            for number in range(0, 12, 3):
                spool.write([*(event(form, each) for each in range(number, number + 3)), b"<bad"])
                acknowledge(number)

    found: list[int] = []
    for step in range(1, 200):
        directory = quick_path / str(step)
        is_killed, acknowledged = killed_at(step, live)
        RotatingSpool(directory, clock=lambda: NOON).close()
        found = all_ids(directory)
        assert sorted(found) == list(range(len(found))), step
        assert 3 * len(acknowledged) <= len(found) <= 3 * len(acknowledged) + 3, step
        if acknowledged:
            assert len(rejected(directory)) >= len(acknowledged), step
        if not is_killed:
            break
    assert step > 60
    assert len(found) == 12


@FORMS
@COMPRESSIONS
def test_killed_at_every_step_of_the_repair_nothing_is_lost_either(
    quick_path: Path, form: Any, compress: str
) -> None:
    def leave(acknowledge: Callable[[int], object]) -> None:
        spool = RotatingSpool(directory, form=form, compress=compress)
        spool.write([event(form, 1), event(form, 2)])
        assert spool._active is not None
        os.write(spool._active._descriptor, b"<torn" if not compress else b"\x1f\x8b\xff")
        _die()

    def mend(_: object) -> None:
        RotatingSpool(directory).close()

    for step in range(1, 100):
        directory = quick_path / str(step)
        killed_at(0, leave)
        is_killed, _ = killed_at(step, mend)
        RotatingSpool(directory).close()
        assert all_ids(directory) == [1, 2], step
        if not compress:
            assert {each["event"] for each in rejected(directory)} == {"<torn"}
        if not is_killed:
            break
    assert 8 < step < 99


@pytest.mark.parametrize("cut", range(100))
def test_an_active_file_of_any_length_is_repaired(tmp_path: Path, cut: int) -> None:
    whole = (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<all>\n'
        b'<event id="1"/>\n<event id="2"><a>\n</a></event>\n</all>\n'
    )
    (tmp_path / "20250729_120000.xml.active").write_bytes(whole[:cut])
    RotatingSpool(tmp_path).close()
    expected = [1] * (cut >= 60) + [2] * (cut >= 91)
    assert all_ids(tmp_path) == expected
    if expected:
        assert content(files(tmp_path)[0]).endswith(b"</all>\n")


def test_zeros_that_a_power_failure_left_are_cut(tmp_path: Path) -> None:
    (tmp_path / "20250729_120000.json.active").write_bytes(b'{"id": 1}\n{"id": 2}\n' + bytes(5000))
    RotatingSpool(tmp_path).close()
    assert all_ids(tmp_path) == [1, 2]
    assert not (tmp_path / "rejected").exists()


def test_a_damaged_line_in_the_middle_costs_that_line_alone(tmp_path: Path) -> None:
    (tmp_path / "20250729_120000.json.active").write_bytes(b'{"id": 1}\n{"i\x00: 2}\n{"id": 3}\n')
    RotatingSpool(tmp_path).close()
    assert all_ids(tmp_path) == [1, 3]
    (line,) = rejected(tmp_path)
    assert line["event"] == '{"i\x00: 2}'
    assert line["reason"].startswith("torn in 20250729_120000.json.active: ")


def test_an_active_file_that_is_not_ours_stays(tmp_path: Path) -> None:
    (tmp_path / "theirs.active").write_bytes(b"{}")
    RotatingSpool(tmp_path).close()
    assert (tmp_path / "theirs.active").read_bytes() == b"{}"


def test_threads_share_a_spool(tmp_path: Path) -> None:
    with RotatingSpool(tmp_path, max_events=50) as spool:

        def write(begin: int) -> None:
            for number in range(begin, begin + 50):
                spool.write([event("json", number)])

        threads = [threading.Thread(target=write, args=(begin,)) for begin in range(0, 200, 50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(all_ids(tmp_path)) == list(range(200))
