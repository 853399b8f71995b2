"""A file that the store holds leaves its directory: only if it is still the very file that was uploaded.

Between a look at a file and its removal anybody may write to it or put another one in its place. So it first
gets a name that nobody else knows (``.haul-ship/going/``); whoever opens the old name from then on makes a
new file. If it was touched before that, or somebody has it open for writing, it gets its name back and goes
again. What a kill leaves in that directory is put back by the next start.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from haulyard.errors import ConfigError, SpoolError
from haulyard.journal import durable
from haulyard.spool.finished import Identity
from haulyard.spool.keys import suffixed
from haulyard.spool.writers import has_writer, written

if TYPE_CHECKING:
    from collections.abc import Sequence

After = Literal["delete", "move", "keep"]
#: ``left``: it is gone from the directory; ``kept``: it stays on purpose; ``changed``: it is another one now.
Fate = Literal["left", "kept", "changed"]

GOING: Final = "going"


class Leaving(NamedTuple):
    """A file that the store holds: its name, an open descriptor, and what it was when it was uploaded."""

    name: str
    descriptor: int
    identity: Identity


class LettingGo:
    """What becomes of the files of one directory once the store holds them.

    Args:
        path: The spool directory.
        directory: Its descriptor.
        after: What is done.
        move_to: Where they are moved; made if it is missing, and may be on another filesystem.

    Raises:
        ConfigError: The directory to move to cannot be made, or is the spool directory.
    """

    def __init__(self, path: str, directory: int, after: After, move_to: str = "") -> None:
        self._directory = directory
        self._after = after
        self._move_to = move_to
        self._path = path
        self._going_path = os.path.join(path, ".haul-ship", GOING)
        if after == "move":
            self._check_target()
        #: What could not even be put back lies there until the next start; nothing may take its place.
        self._stranded: set[str] = set()
        os.makedirs(self._going_path, mode=0o700, exist_ok=True)
        self._going = os.open(self._going_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of the directory."""
        going, self._going = self._going, -1
        if going >= 0:
            os.close(going)

    def recover(self) -> list[str]:
        """Give the files that a kill left half-way their names back, and return these."""
        return [self._put_back(name) for name in sorted(os.listdir(self._going))]

    def __call__(self, files: Sequence[Leaving]) -> list[Fate | SpoolError]:
        """Let go of files, and return what became of each, in their order. Descriptors stay open.

        An error is of a file that the store holds and that cannot be removed.
        """
        if self._after == "keep":
            return ["kept" if self._is_same(one) else "changed" for one in files]
        claims: list[Fate | SpoolError | None] = [self._claimed(one) for one in files]
        asked = [
            has_writer(one.descriptor) if claim is None else False
            for one, claim in zip(files, claims, strict=True)
        ]
        open_elsewhere = written(
            {_file(one) for one, writer in zip(files, asked, strict=True) if writer is None}
        )
        fates: list[Fate | SpoolError] = []
        for one, claim, writer in zip(files, claims, asked, strict=True):
            if claim is not None:
                fates.append(claim)
            elif writer or (writer is None and _file(one) in open_elsewhere) or not _is_untouched(one):
                fates.append(self._returned(one))
            else:
                fates.append(self._dispose(one))
        return fates

    def _claimed(self, one: Leaving) -> Fate | SpoolError | None:
        """Take the file's name away, and return None; or say why not."""
        try:
            now = Identity.of(os.stat(one.name, dir_fd=self._directory, follow_symlinks=False))
        except FileNotFoundError:
            # Somebody else has removed it.
            return "left"
        except OSError as error:
            return self._stuck(one.name, error)
        if now != one.identity or one.name in self._stranded:
            return "changed"
        try:
            os.rename(one.name, one.name, src_dir_fd=self._directory, dst_dir_fd=self._going)
        except FileNotFoundError:
            return "left"
        except OSError as error:
            return self._stuck(one.name, error)
        return None

    def _is_same(self, one: Leaving) -> bool:
        try:
            now = os.stat(one.name, dir_fd=self._directory, follow_symlinks=False)
        except OSError:
            return False
        return Identity.of(now) == one.identity and has_writer(one.descriptor) is not True

    def _dispose(self, one: Leaving) -> Fate | SpoolError:
        try:
            if self._after == "move":
                self._move(one)
            else:
                os.unlink(one.name, dir_fd=self._going)
        except OSError as error:
            fate = self._returned(one)
            return self._stuck(one.name, error) if fate == "changed" else fate
        return "left"

    def _returned(self, one: Leaving) -> Fate | SpoolError:
        try:
            self._put_back(one.name)
        except OSError as error:
            self._stranded.add(one.name)
            return self._stuck(one.name, error)
        return "changed"

    def _move(self, one: Leaving) -> None:
        source = os.path.join(self._going_path, one.name)
        target = os.path.join(self._move_to, free_name(self._move_to, one.name))
        try:
            os.rename(source, target)
        except OSError as error:
            if not _is_other_filesystem(error):
                raise
            _copy(one.descriptor, source, target)
            os.unlink(source)

    def _put_back(self, name: str) -> str:
        """Give a file its name back, or one beside it where another file has it by now; never overwrites."""
        for number in count():
            back = suffixed(name, number)
            try:
                os.link(name, back, src_dir_fd=self._going, dst_dir_fd=self._directory, follow_symlinks=False)
            except FileExistsError:
                continue
            except OSError:
                # A filesystem without hard links.
                if _exists(back, self._directory):
                    continue
                os.rename(name, back, src_dir_fd=self._going, dst_dir_fd=self._directory)
                return back
            os.unlink(name, dir_fd=self._going)
            return back
        raise AssertionError  # one of the numbers is free

    def _stuck(self, name: str, error: OSError) -> SpoolError:
        return SpoolError(
            f"{os.path.join(self._path, name)} is shipped and cannot be let go of: {error.strerror}",
            hint="make its directory, and the one to move to, writable for this user; nothing is lost",
        )

    def _check_target(self) -> None:
        try:
            os.makedirs(self._move_to, exist_ok=True)
            is_same = os.path.samefile(self._move_to, self._path)
        except OSError as error:
            raise ConfigError(
                f"{self._move_to} cannot be moved to: {error.strerror}", hint="name a directory of your own"
            ) from None
        if is_same:
            raise ConfigError(
                f"{self._move_to} is the spool directory itself", hint="name another one, or keep the files"
            )


def free_name(directory: str, name: str) -> str:
    """Return ``name``, or one beside it, that nothing has in ``directory``."""
    for number in count():
        free = suffixed(name, number)
        if not os.path.lexists(os.path.join(directory, free)):
            return free
    raise AssertionError  # one of the numbers is free


def _file(one: Leaving) -> tuple[int, int]:
    status = os.fstat(one.descriptor)
    return status.st_dev, status.st_ino


def _is_untouched(one: Leaving) -> bool:
    # Its new name has changed the time of its change (ctime), and nothing else.
    return Identity.of(os.fstat(one.descriptor))[:3] == one.identity[:3]


def _exists(name: str, directory: int) -> bool:
    with suppress(FileNotFoundError):
        os.stat(name, dir_fd=directory, follow_symlinks=False)
        return True
    return False


def _is_other_filesystem(error: OSError) -> bool:

    return error.errno == errno.EXDEV


def _copy(descriptor: int, source: str, target: str) -> None:
    """Copy to another filesystem; the target has its name when it is on the disk, whole."""
    directory, name = os.path.split(target)
    # Short and hidden: a name may be as long as names can be.
    part = os.path.join(directory, f".haul-{os.getpid()}-{abs(hash(name)):x}.part")
    try:
        with open(descriptor, "rb", closefd=False) as before, open(part, "xb") as after:
            before.seek(0)
            shutil.copyfileobj(before, after, 1024 * 1024)
            after.flush()
            os.fsync(after.fileno())
        shutil.copystat(source, part, follow_symlinks=False)
        os.rename(part, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(part)
        raise
    durable.fsync_directory(directory)
