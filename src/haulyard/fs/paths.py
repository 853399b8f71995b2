"""Paths of a filesystem and keys of its bucket: pure, and the one place where a tenant's prefix is applied.

A path is relative to the prefix. A slash at its start, ``//`` and ``.`` are understood as POSIX does:
``/a//b/./c`` is ``a/b/c``. A slash at its end says that a directory is meant. ``..`` is refused rather than
resolved, as is everything that no key can hold: NUL, what is not UTF-8, and keys of more than 1,024 bytes.
So no path leads out of the prefix, and each key has one path.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from haulyard.errors import ConfigError, UnsafeName
from haulyard.stores.access.space import PREFIX

#: Bytes of a key at most ("Naming Amazon S3 objects", object key naming guidelines).
MAX_KEY: Final = 1024


class PlainPath(NamedTuple):
    """A path in its one form: ``""`` for the root, ``a/b`` else; ``is_dir`` where a slash ended it."""

    text: str
    is_dir: bool


def plain(path: str, prefix: str = "") -> PlainPath:
    """Return the one form of ``path`` below ``prefix``.

    Raises:
        UnsafeName: It has ``..`` or NUL in it, is not Unicode, or makes a key that is too long.
    """
    segments = path.split("/")
    if ".." in segments:
        raise _unsafe(
            path, "has '..' in it", "write the path without it: nothing above the root is reachable"
        )
    if "\0" in path:
        raise _unsafe(path, "has NUL in it", "no key may hold it")
    if "" in segments or "." in segments:
        is_dir = segments[-1] in {"", "."}
        text = "/".join(segment for segment in segments if segment not in {"", "."})
    else:
        is_dir, text = False, path
    try:
        size = len(text) if text.isascii() else len(text.encode())
    except UnicodeEncodeError:
        raise _unsafe(path, "is not Unicode text", "keys are UTF-8; rename it") from None
    size += is_dir + (len(prefix) if prefix.isascii() else len(prefix.encode()))
    if size > MAX_KEY:
        raise _unsafe(
            path, f"makes a key of {size} bytes", f"a key has at most {MAX_KEY}, its prefix included"
        )
    return PlainPath(text, is_dir or not text)


def file_key(path: str, prefix: str) -> str:
    """Return the key of the file at ``path``.

    Raises:
        UnsafeName: As `plain`; or it names a directory.
    """
    text, is_dir = plain(path, prefix)
    if is_dir:
        raise _unsafe(path or "/", "names a directory", "write a file's path without a slash at its end")
    return prefix + text


def directory_key(path: str, prefix: str) -> str:
    """Return what the keys of everything in the directory at ``path`` begin with, and its marker's key.

    Raises:
        UnsafeName: As `plain`.
    """
    text, _ = plain(path if path.endswith("/") else f"{path}/", prefix)
    return f"{prefix}{text}/" if text else prefix


def path_of(key: str, prefix: str) -> str | None:
    """Return the path of a listed key; None where no path leads to it (``a//b``, ``../a``, the root itself).

    Nor does one to the objects by which is found out what an endpoint can do, for as long as they are there.
    ``key`` is a whole key that begins with ``prefix``, or a common prefix that ends in a slash.
    """
    text = key[len(prefix) :]
    inner = text.removesuffix("/")
    if not inner or "\0" in inner or not {"", ".", ".."}.isdisjoint(inner.split("/")):
        return None
    return None if is_probe(inner) else inner


def is_probe(name: str) -> bool:
    """Whether by this object `haulyard.stores.access` finds out what an endpoint can do."""
    return PREFIX in name and any(segment.startswith(PREFIX) for segment in name.split("/"))


def parent_of(path: str) -> str:
    """Return the directory that a plain path lies in; that of the root is the root."""
    return path.rpartition("/")[0]


def check_prefix(prefix: str) -> str:
    """Return a tenant's prefix as keys begin with it: ``""``, or text that ends in its only last slash.

    Raises:
        ConfigError: It has ``..``, ``.``, ``//`` or NUL in it, or leaves no room for a name.
    """
    if prefix in {"", "/"}:
        return ""
    try:
        text, _ = plain(prefix)
    except UnsafeName as error:
        raise ConfigError(f"prefix: {error}", hint=error.hint) from None
    if not text or text != prefix.removeprefix("/").removesuffix("/"):
        raise ConfigError(
            f"prefix={prefix!r} has an empty segment or '.' in it", hint=f"write {text}/, if that is meant"
        )
    if len(text.encode()) + 2 > MAX_KEY:
        raise ConfigError("the prefix leaves no room for a name", hint=f"a key has at most {MAX_KEY} bytes")
    return f"{text}/"


def _unsafe(path: str, reason: str, hint: str) -> UnsafeName:
    shown = path if len(path) < 100 else f"{path[:80]}…"  # noqa: PLR2004 -- a line of a terminal
    return UnsafeName(f"{shown!r} {reason}", store="s3", operation="path", key=path, hint=hint)
