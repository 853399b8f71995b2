"""What is said of a bucket that is not there, where something was to be written to it."""

from __future__ import annotations

from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from haulyard.errors import HaulError, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")

#: How alike two names are at least (difflib's ratio), and how many are named.
_ALIKE: Final = 0.6
_NAMED: Final = 3


def into_bucket(call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let ``call``, a method of a filesystem or of one of its files, name the buckets that may be meant."""

    @wraps(call)
    async def told(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await call(*args, **kwargs)
        except NotFound as error:
            if error.code == "NoSuchBucket":
                await _name_others(args[0], error)
            raise

    return told


async def _name_others(owner: Any, error: NotFound) -> None:
    """Put into the hint which buckets have nearly the same name."""
    from difflib import get_close_matches  # 3 ms that only mistakes pay

    buckets: list[dict[str, Any]] = []
    # Nobody has to be allowed to list them.
    with suppress(HaulError):
        buckets = await getattr(owner, "fs", owner)._buckets(refresh=True)
    near = get_close_matches(error.bucket, [each["name"] for each in buckets], _NAMED, _ALIKE)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    error.hint = f"{meant}fs.mkdir({error.bucket!r}) makes a bucket, as does `haul mb`"
