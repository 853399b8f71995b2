"""When a directory is looked into: with real file events, and without them."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import pytest

from haulyard.events import Warned
from haulyard.spool import arrivals
from haulyard.spool.arrivals import Arrivals, watching

if TYPE_CHECKING:
    from pathlib import Path

    from haulyard.events import Event

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "_OFTEN", 0.02)


@pytest.fixture(params=["events", "polling"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where arrivals are known from; the other source is out of action."""
    if request.param == "polling":
        monkeypatch.setitem(sys.modules, "watchfiles", None)
    else:
        # Once, for what came before the watch; then never.
        monkeypatch.setattr(arrivals, "_SELDOM", 3600.0)
    return str(request.param)


async def _quiet(come: Arrivals) -> None:
    """Let pass what is due because of what happened so far, and the look that follows a new watch."""
    while await _is_woken(come, 0.3):
        pass


async def _is_woken(come: Arrivals, seconds: float = 10.0) -> bool:
    with suppress(TimeoutError):
        with anyio.fail_after(seconds):
            await anext(come)
        return True
    return False


def _rename_into(directory: Path, name: str | bytes) -> None:
    hidden = directory / ".new"
    hidden.write_bytes(b"x")
    os.rename(hidden, os.path.join(os.fsencode(directory), os.fsencode(name)))


async def test_the_first_look_is_due_at_once(tmp_path: Path) -> None:
    async with watching(str(tmp_path)) as come:
        assert await _is_woken(come)


async def test_a_file_that_is_renamed_into_place_is_an_arrival(tmp_path: Path, source: str) -> None:
    assert source
    async with watching(str(tmp_path)) as come:
        await _quiet(come)
        _rename_into(tmp_path, "a.xml")
        assert await _is_woken(come)


async def test_what_came_during_a_look_is_worth_another_one(tmp_path: Path) -> None:
    async with watching(str(tmp_path)) as come:
        await anext(come)
        _rename_into(tmp_path, "during the look.xml")
        assert await _is_woken(come)


async def test_many_arrivals_are_one(tmp_path: Path) -> None:
    async with watching(str(tmp_path)) as come:
        for number in range(50):
            _rename_into(tmp_path, f"{number}.xml")
            come.wake()
        await anext(come)
        woken = 0
        while await _is_woken(come, 0.3):
            woken += 1
        assert woken <= 5


async def test_what_is_being_written_is_no_arrival(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "_SELDOM", 3600.0)
    (tmp_path / "a.xml").touch()
    async with watching(str(tmp_path)) as come:
        await _quiet(come)
        for name in ("a.xml.active", "b.part", "c.tmp", ".hidden"):
            (tmp_path / name).write_bytes(b"x")
        (tmp_path / "a.xml").unlink()
        assert not await _is_woken(come, 0.5)
        (tmp_path / "b.part").rename(tmp_path / "b")
        assert await _is_woken(come)


async def test_a_file_that_grows_is_an_arrival_by_its_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "_SELDOM", 3600.0)
    (tmp_path / "a.log").touch()
    async with watching(str(tmp_path)) as come:
        await _quiet(come)
        with (tmp_path / "a.log").open("ab") as file:
            file.write(b"more")
        assert await _is_woken(come)


async def test_a_directory_that_comes_back_is_watched_again(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert source
    directory = tmp_path / "spool"
    directory.mkdir()
    monkeypatch.setattr(arrivals, "_SELDOM", 0.01)
    async with watching(str(directory)) as come:
        await _quiet(come)
        directory.rename(tmp_path / "away")
        assert await _is_woken(come)
        directory.mkdir()
        assert await _is_woken(come)
        await _quiet(come)
        _rename_into(directory, "a.xml")
        assert await _is_woken(come)


async def test_a_directory_that_is_made_later_is_watched(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert source
    directory = tmp_path / "spool"
    async with watching(str(directory)) as come:
        await _quiet(come)
        directory.mkdir()
        assert await _is_woken(come)
        await _quiet(come)
        monkeypatch.setattr(arrivals, "_SELDOM", 3600.0)
        _rename_into(directory, "a.xml")
        assert await _is_woken(come)


async def test_a_name_that_is_no_text_is_an_arrival(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(arrivals, "_SELDOM", 0.01)
    async with watching(str(tmp_path)) as come:
        await _quiet(come)
        _rename_into(tmp_path, b"caf\xe9.xml")
        assert await _is_woken(come)
        await _quiet(come)
    assert capfd.readouterr() == ("", "")


async def test_without_any_reason_there_is_a_look_every_rescan(tmp_path: Path) -> None:
    async with watching(str(tmp_path), rescan=0.01) as come:
        with anyio.fail_after(10):
            for _ in range(5):
                await anext(come)


async def test_missing_file_events_are_told_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    told: list[Event] = []
    async with watching(str(tmp_path), emit=told.append) as come:
        await _quiet(come)
    assert told == [
        Warned(
            "watchfiles is not installed: new files are looked for every 0.02 s",
            "pip install 'haulyard[spool]'",
        )
    ]


async def test_a_kernel_without_watches_is_told_and_polled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import watchfiles

    def no_watch_left(*_: object, **__: object) -> None:
        raise OSError("OS file watch limit reached.")

    monkeypatch.setattr(watchfiles, "awatch", no_watch_left)
    told: list[Event] = []
    async with watching(str(tmp_path), emit=told.append) as come:
        await _quiet(come)
        _rename_into(tmp_path, "a.xml")
        assert await _is_woken(come)
    assert [event.message for event in told if isinstance(event, Warned)] == [
        "no file events (OS file watch limit reached.): new files are looked for every 0.02 s"
    ]
