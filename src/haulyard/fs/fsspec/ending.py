"""The end of the program: what is open is known, and native threads are waited for that let go of it.

While the interpreter ends, a thread that wants to run Python is ended by pthread_exit, which C++ answers by
``std::terminate``: the process dies by SIGABRT although all of its work is done. pyarrow's threads are such:
a scan returns its table before the thread that read the last of it has dropped its file and filesystem.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import WeakSet, WeakValueDictionary, ref

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from haulyard.client.session import Session


class OpenFile(Protocol):
    """A `HaulFile`, as far as its end is concerned."""

    fs: Any
    mode: str
    closed: bool

    def close(self) -> None:
        """Let it appear, where it is written."""


#: Files that were opened, by their ids: two that read the same content are equal.
files: Final[WeakValueDictionary[int, OpenFile]] = WeakValueDictionary()
#: The connections of the loop that all filesystems share.
sessions: Final[WeakSet[Session]] = WeakSet()

#: Seconds that are waited for files which no Python object has any more; it takes milliseconds.
_FILES: Final = 2.0
#: Seconds for pyarrow's filesystems. The program may keep one for ever (in a data set): nothing tells.
_HANDLERS: Final = 0.25


def unfinished(loop: asyncio.AbstractEventLoop) -> list[OpenFile]:
    """Return the files that are being written by requests in ``loop``, and that nobody closed."""
    return [each for each in files.values() if not each.closed and each.mode != "rb" and each.fs.loop is loop]


def wait_for_native_threads() -> None:
    """Wait until no thread of pyarrow's is about to drop a file or filesystem of ours; not for long."""
    if "pyarrow" not in sys.modules:
        return
    _until_gone([each for each in files.valuerefs() if _is_native(each())], _FILES)
    _until_gone(_handlers(), _HANDLERS)


def _is_native(file: OpenFile | None) -> bool:
    """Say whether it is native code alone that has a file."""
    return file is not None and not gc.get_referrers(file)


def _handlers() -> list[ref[Any]]:
    """Return the objects by which pyarrow calls filesystems: only its own, native ones have them."""
    kind = getattr(sys.modules.get("pyarrow.fs"), "FSSpecHandler", None)
    return [] if kind is None else [ref(each) for each in gc.get_objects() if type(each) is kind]


def _until_gone(kept: Iterable[ref[Any]], seconds: float) -> None:
    until = time.monotonic() + seconds
    watched: list[ref[Any]] = []
    for each in kept:
        gone = threading.Event()
        if (found := each()) is not None:
            watched.append(ref(found, partial(_set, gone)))
            del found
            gone.wait(max(until - time.monotonic(), 0))


def _set(event: threading.Event, _: object) -> None:
    event.set()
