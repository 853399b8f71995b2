"""Writing that waits while the disk is nearly full, so that nothing is lost."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING, Final, TypeVar

from haulyard.errors import SpoolError
from haulyard.events import Warned

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.events import Emit

T = TypeVar("T")
_MOST_FREE: Final = 256 * 1024**2
_SHARE: Final = 20
_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
#: Seconds between two looks.
_INTERVAL: Final = 0.5


class Room:
    """The free space of a directory: ``min_free`` bytes of it are left alone.

    Unless stated 256 MiB, or 5 % of a filesystem that is smaller than 5 GiB. Whoever waits is told once.
    """

    def __init__(self, directory: str, min_free: int | None, emit: Emit) -> None:
        self._directory = directory
        self._emit = emit
        self._hurry = threading.Event()
        self._is_waiting = False
        if min_free is None:
            found = os.statvfs(directory)
            min_free = min(_MOST_FREE, found.f_blocks * found.f_frsize // _SHARE)
        self.min_free = min_free

    def hurry(self) -> None:
        """Wait no longer: what is in hand goes into what was to be left alone, or fails."""
        self._hurry.set()

    def wait(self, size: int) -> None:
        """Return once ``size`` bytes can be written and enough is left."""
        while not self._hurry.is_set() and self._free() < self.min_free + size:
            self._pause("less than {} bytes are free")
        self._go_on()

    def write(self, descriptor: int, data: bytes, path: str) -> None:
        """Append all of it, however long that takes.

        Raises:
            SpoolError: It cannot be written, or there is no room and no time to wait.
        """
        view = memoryview(data)
        while view:
            try:
                written = self.patiently(lambda view=view: os.write(descriptor, view))  # type: ignore[misc]  # mypy infers no lambda with defaults
            except OSError as error:
                raise SpoolError(
                    f"{path} cannot be written: {error.strerror}",
                    hint="what was not acknowledged has to be sent again",
                ) from error
            view = view[written:]

    def patiently(self, call: Callable[[], T]) -> T:
        """Return what ``call`` returns, once it finds room. Raises OSError."""
        while True:
            try:
                result = call()
            except OSError as error:
                if error.errno not in _FULL or self._hurry.is_set():
                    raise
                self._pause("the disk is full")
            else:
                self._go_on()
                return result

    def _free(self) -> int:
        found = os.statvfs(self._directory)
        return found.f_bavail * found.f_frsize

    def _pause(self, why: str) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            text = why.format(self.min_free)
            self._emit(
                Warned(
                    f"{self._directory}: {text}: events wait until there is room",
                    hint="nothing is lost; ship what is finished, or free some space",
                )
            )
        self._hurry.wait(_INTERVAL)

    def _go_on(self) -> None:
        if self._is_waiting:
            self._is_waiting = False
            self._emit(Warned(f"{self._directory}: there is room again"))
