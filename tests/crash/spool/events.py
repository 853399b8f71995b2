"""What a spool is fed that is killed, and what has to be found of that. Nothing here asks the program."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import zstandard

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.spool.program import Haul

#: Events of each batch; some end a file, one fills two, one is broken.
_SIZES = (2, 2, 1, 5, 2)
_BROKEN = 4
_NAME = re.compile(r"(?P<moment>\d{8}_\d{6})(?:-(?P<number>\d+))?\.(?:json|xml)(?:\.gz|\.zst)?")
_MOST = 3


@dataclass(frozen=True)
class Feed:
    """One form of events: the words for it, and what a batch of them looks like."""

    form: str
    compress: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        more = ("--compress", self.compress) if self.compress else ()
        return ("spool", "events", "--format", self.form, "--max-events", str(_MOST), "--max-age", "0", *more)

    def event(self, number: int) -> bytes:
        """Return an event; one of them is not well-formed."""
        if self.form == "json":
            return b'{"id": %d, "text": "%s"' % (number, b"x" * 40) + (b"}" if number != _BROKEN else b"]")
        text = "zwölf &lt;" if number % 2 else "<![CDATA[</events>]]>"
        end = "e" if number != _BROKEN else "f"
        return f'<e id="{number}">{text}</{end}>'.encode()

    def batches(self, start: int = 0) -> list[bytes]:
        """Return what is sent, from event ``start`` on."""
        found: list[bytes] = []
        number = 0
        for size in _SIZES:
            numbers = range(max(start, number), number + size)
            number += size
            if numbers:
                # A broken document ends where the next one begins.
                found.append(b"".join(self.event(each) + b"\n" for each in numbers))
        return found

    @property
    def sound(self) -> list[int]:
        return [each for each in range(self.count) if each != _BROKEN]

    @property
    def count(self) -> int:
        return sum(_SIZES)


@dataclass
class Found:
    """Numbers of events: those in files, in the order of these, and rejected ones."""

    events: list[int]
    rejected: set[int]


def look(directory: Path) -> list[int]:
    """Return the numbers of the events in all files, which have to be whole."""
    files = sorted(
        (match["moment"], int(match["number"] or 0), path)
        for path in directory.iterdir()
        if (match := _NAME.fullmatch(path.name))
    )
    return [number for *_, path in files for number in _read(path)]


def _read(path: Path) -> list[int]:
    raw = path.read_bytes()
    if path.suffix == ".gz":
        raw = gzip.decompress(raw)
    elif path.suffix == ".zst":
        raw = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    if ".json" in path.name:
        assert raw.endswith(b"\n"), path.name
        found = [json.loads(line)["id"] for line in raw.splitlines()]
    else:
        root = ET.fromstring(raw)  # noqa: S314 -- it was made here
        assert root.tag == "events"
        found = [int(each.attrib["id"]) for each in root]
    assert 0 < len(found) <= _MOST, path.name
    return found


def _rejected(folder: Path) -> list[int]:
    """Return the numbers of rejected events; what was torn by the kill may have none."""
    paths = folder.iterdir() if folder.exists() else ()
    lines = [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]
    raw = [line.get("event") or base64.b64decode(line["event_base64"]).decode("latin-1") for line in lines]
    return [int(match[1]) for each in raw if (match := re.search(r'id(?:": |=")(\d+)', each))]


class SpoolRounds:
    """A spool that is killed at a step, looked at, and fed the rest; what is finished is shipped at once."""

    def __init__(self, haul: Haul, feed: Feed) -> None:
        self.haul = haul
        self.feed = feed
        self.directory = haul.cwd / "events"
        self.shipped = haul.cwd / "shipped"

    def kill(self, step: str) -> bool:
        """Kill it; nothing acknowledged is lost, then or later. Returns whether it came to that step."""
        feed, haul = self.feed, self.haul
        for directory in (self.directory, self.shipped):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
        with haul.listening(*feed.words, step=step) as killed:
            acknowledged = killed.send(feed.batches())
            killed.stop()
            done = killed.running.end()
        assert done.was_killed or done.code == 0, (step, done.err)
        assert done.was_killed or acknowledged == feed.count
        said = f"killed at {step}: {done.points[-1:]}\n{done.err}\nacknowledged {acknowledged}"
        try:
            self._ship()
            again = haul(*feed.words)
            said += f"\nagain: {again.code}\n{again.out}{again.err}"
            assert again.code == 0
            self._check(acknowledged)
            self._feed_the_rest(acknowledged)
        except (AssertionError, ET.ParseError, ValueError, OSError) as error:
            error.add_note(said)
            raise
        return done.was_killed

    def _ship(self) -> None:
        """Take the finished files away; none may have a name that one had before."""
        for path in self.directory.iterdir():
            if _NAME.fullmatch(path.name):
                assert not (self.shipped / path.name).exists(), f"{path.name} comes again"
                path.rename(self.shipped / path.name)

    def _found(self) -> Found:
        self._ship()
        left = {path.name for path in self.directory.iterdir()}
        assert left <= {".haul-spool", "rejected"}, left
        return Found(look(self.shipped), set(_rejected(self.directory / "rejected")))

    def _check(self, acknowledged: int) -> None:
        found = self._found()
        sound = self.feed.sound
        assert found.events == sound[: len(found.events)], found
        missing = set(range(acknowledged)) - set(found.events) - found.rejected
        assert not missing, f"{missing} of {acknowledged} acknowledged are lost: {found}"

    def _feed_the_rest(self, acknowledged: int) -> None:
        """Send what was not acknowledged, as every client does."""
        with self.haul.listening(*self.feed.words) as last:
            rest = last.send(self.feed.batches(acknowledged))
            last.stop()
            done = last.running.end()
        assert (done.code, rest) == (0, self.feed.count - acknowledged), done.err
        found = self._found()
        assert sorted(set(found.events)) == self.feed.sound
        assert _BROKEN in found.rejected
