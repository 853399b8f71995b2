"""What a shipper is given that is killed, and what has to be found of that. Nothing here asks the program."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tests.crash.jobs.buckets import QuickBucket, RealBucket
from tests.crash.jobs.model import PROBE, Thing
from tests.crash.jobs.program import WRITES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.crash.jobs.program import Done
    from tests.crash.spool.program import Haul

    Contents = Mapping[str, bytes]

#: 6 MiB: two parts.
LARGE = bytes(range(256)) * 24_576
#: Lists of what came together lie below it.
_LISTS = "p/_manifests/"
_OWN = frozenset({"lock", "state.db", "state.db-wal", "state.db-shm", "reasons.jsonl"})
_TAKEN = Thing(b"<other/>", content_type="application/xml")
_SAME = Thing(b"<seen/>", content_type="application/xml")
_NAMES = {
    "20250729_161500.xml": b"<one/>",
    "20250729_161500-1.xml": b"<two/>" * 50_000,
    "20250801_000000.xml.gz": b"\x1f\x8b any bytes",
    "no date.json": b'{"id":1}\n',
    "seen.xml": _SAME.body,
    "20250802_000000.xml": b"<mine/>",
}
_CLASH = "p/2025/08/02/20250802_000000.xml"
_KEYS = {
    "20250729_161500.xml": "p/2025/07/29/20250729_161500.xml",
    "20250729_161500-1.xml": "p/2025/07/29/20250729_161500-1.xml",
    "20250801_000000.xml.gz": "p/2025/08/01/20250801_000000.xml.gz",
    "no date.json": "p/no date.json",
    "seen.xml": "p/seen.xml",
}
_SUFFIXED = "p/2025/08/02/20250802_000000-1.xml"
_IN_QUARANTINE = {"spool/quarantine/20250802_000000.xml": b"<mine/>"}


@dataclass(frozen=True)
class Case:
    """``keys`` are those that the files have in the end, ``left`` the files that lie somewhere in the end."""

    words: tuple[str, ...]
    keys: Mapping[str, str]
    left: Contents
    files: Contents = field(default_factory=lambda: _NAMES)
    objects: Mapping[str, Thing] = field(default_factory=lambda: {_CLASH: _TAKEN, "p/seen.xml": _SAME})

    @property
    def after(self) -> dict[str, bytes]:
        """Return what the bucket has to hold in the end."""
        before = {key: thing.body for key, thing in self.objects.items()}
        return before | {key: self.files[name] for name, key in self.keys.items()}


_DELETE = Case(("--after", "delete"), _KEYS, _IN_QUARANTINE)
_LARGE = {"20250803_000000.xml": LARGE}
CASES = {
    "delete": _DELETE,
    "move": Case(
        ("--after", "move", "--move-to", "away"),
        _KEYS,
        {**{f"away/{name}": _NAMES[name] for name in _KEYS}, **_IN_QUARANTINE},
    ),
    "keep": Case((), _KEYS, {**{f"spool/{name}": _NAMES[name] for name in _KEYS}, **_IN_QUARANTINE}),
    "suffix": replace(
        _DELETE,
        words=("--after", "delete", "--on-conflict", "suffix"),
        keys={**_KEYS, "20250802_000000.xml": _SUFFIXED},
        left={},
    ),
    "listed": replace(_DELETE, words=("--after", "delete", "--batch-manifest")),
    "large": Case(
        ("--after", "delete"),
        {"20250803_000000.xml": "p/2025/08/03/20250803_000000.xml"},
        {},
        _LARGE,
        {},
    ),
}


class ShipRounds:
    """A shipper that is killed at a step, looked at, and run again."""

    def __init__(self, haul: Haul, bucket: QuickBucket | RealBucket, case: Case, *, concurrency: int) -> None:
        self.haul = haul
        self.bucket = bucket
        self.case = case
        to = f"s3://{bucket.name}/p/"
        common = ("--settle", "0", "--date-folders", "--date-from", "none", "--concurrency", str(concurrency))
        self.words = ("ship", "spool", "--to", to, *common, *case.words)
        # Here the program finds out what the endpoint honours.
        self._lay_out()
        self._check_end(haul(*self.words))

    def kill(self, step: str) -> bool:
        """Kill it; nothing is lost or overwritten, then or later. Returns whether it came to that step."""
        self._lay_out()
        marks = self._marks()
        killed = self.haul(*self.words, step=step)
        assert killed.was_killed or killed.code in {0, 1}, (step, killed.err)
        said = f"killed at {step}: {killed.points[-1:]}\n{killed.err}"
        try:
            marks = self._check_between(marks)
            again = self.haul(*self.words)
            said += f"\nagain: {again.code}\n{again.out}{again.err}"
            self._check_end(again)
            self._check_marks(marks)
        except AssertionError as error:
            error.add_note(said)
            raise
        return killed.was_killed

    def kill_at_first(self, step: str) -> bool:
        """The same of a program that knows nothing of the endpoint."""
        shutil.rmtree(self.haul.environ["HAUL_STATE_DIR"])
        return self.kill(step)

    def _lay_out(self) -> None:
        self._settle()
        self.bucket.fill(self.case.objects)
        for name in ("spool", "away"):
            shutil.rmtree(self.haul.cwd / name, ignore_errors=True)
        (self.haul.cwd / "spool").mkdir()
        for name, content in self.case.files.items():
            (self.haul.cwd / "spool" / name).write_bytes(content)

    def _settle(self) -> None:
        """Let the server end what it was asked for by the one that was killed."""
        if isinstance(self.bucket, QuickBucket):
            self.bucket.server.settle()

    def _check_between(self, marks: Mapping[str, object]) -> dict[str, object]:
        self._settle()
        found, files = self._objects(), files_below(self.haul.cwd)
        after = self.case.after
        wrong = [key for key, body in found.items() if after.get(key) != body]
        assert not wrong, f"{wrong} have other bytes"
        here = set(files.values())
        keys = self.case.keys
        lost = [
            name
            for name, content in self.case.files.items()
            if content not in here and found.get(keys.get(name, "")) != content
        ]
        assert not lost, f"{lost} are lost"
        self._check_marks(marks)
        return self._marks()

    def _check_end(self, done: Done) -> None:
        # Whether a file was put aside by this run or by the one that was killed is another question.
        assert done.code in {0, 1}, done.err
        assert files_below(self.haul.cwd) == self.case.left
        found = self._objects()
        assert sorted(found) == sorted(self.case.after)
        assert [key for key, body in self.case.after.items() if found[key] != body] == []
        # Of an upload that was made when the program was killed nobody knows the id: a person is told.
        assert len(self.bucket.open_uploads()) == done.err.count("has an upload open since")
        folder = self.haul.cwd / "spool" / ".haul-ship"
        assert [path.name for name in ("going", "uploads") for path in (folder / name).glob("*")] == []
        if "--batch-manifest" in self.words:
            assert self._listed() == set(self.case.keys.values())
        again = self.haul(*self.words)
        assert again.code == 0, again.err
        assert writes(again) == []

    def _listed(self) -> set[str]:
        """Return the keys of all lists: a file that is on none is never loaded."""
        lists = [
            json.loads(thing.body) for key, thing in self.bucket.read().items() if key.startswith(_LISTS)
        ]
        return {each["key"] for one in lists for each in one["files"]}

    def _objects(self) -> dict[str, bytes]:
        everything = self.bucket.read()
        found = {key: thing for key, thing in everything.items() if PROBE not in key and _LISTS not in key}
        for key, thing in found.items():
            if key not in self.case.objects:
                assert dict(thing.metadata)["sha256"] == hashlib.sha256(thing.body).hexdigest(), key
        return {key: thing.body for key, thing in found.items()}

    def _marks(self) -> dict[str, Any]:
        """Return what shows, by key, that an object has not been written again."""
        if isinstance(self.bucket, RealBucket):
            return self.bucket.versions()
        objects = self.bucket.server.objects
        return {key: objects.stored(bucket, key) for bucket, key in objects}

    def _check_marks(self, before: Mapping[str, Any]) -> None:
        now = self._marks()
        written = [key for key, mark in before.items() if PROBE not in key and not _same(now[key], mark)]
        assert not written, f"{written} were overwritten"


def _same(one: Any, other: Any) -> bool:
    return one == other if isinstance(one, list) else one is other


def writes(done: Done) -> list[str]:
    """Return the requests that would change something."""
    requests = [each.what.split() for each in done.points if each.what.startswith("request ")]
    return [" ".join(words) for words in requests if words[1] in WRITES]


def files_below(cwd: Path) -> dict[str, bytes]:
    """Return the files of the spool directory and of the one that is moved to, wherever they lie in there."""
    return {
        str(path.relative_to(cwd)): path.read_bytes()
        for name in ("spool", "away")
        for path in (cwd / name).rglob("*")
        if path.is_file() and path.name not in _OWN and "uploads" not in path.parts
    }
