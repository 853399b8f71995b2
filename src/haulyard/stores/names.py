"""Which names files below a root may have, and which ones unfinished files get."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

#: Longest key in bytes, as in S3; longest component in bytes, as in every usual file system.
MAX_KEY: Final = 1024
MAX_NAME: Final = 255

_PART_NAME: Final = re.compile(r"\.haul-[0-9a-f]{16}\.[a-z]+")


def part_name(name: str, suffix: str = "part") -> str:
    """Return the hidden name under which the file ``name`` grows; ``suffix`` is lower case letters."""
    return f".haul-{blake2b(name.encode(), digest_size=8).hexdigest()}.{suffix}"


def is_part_name(name: str) -> bool:
    """Whether ``name`` is one that `part_name` makes: never listed, never a key."""
    return name.startswith(".haul-") and _PART_NAME.fullmatch(name) is not None


def flaw_of_name(name: str) -> str:
    """Say why ``name`` cannot be one component of a path below the root; ``""`` if it can."""
    if name in {"", ".", ".."}:
        return f"it has a component {name!r}" if name else "it has an empty component"
    if "\0" in name:
        return "it holds a NUL character"
    if is_part_name(name):
        return f"{name!r} is a name that unfinished files have"
    try:
        length = len(name) if name.isascii() else len(name.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    return "" if length <= MAX_NAME else f"a component of it is {length} bytes long, over {MAX_NAME}"
