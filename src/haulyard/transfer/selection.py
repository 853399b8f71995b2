"""What one source argument selects in its store: an object, a tree, or what a wildcard matches.

Pure: no store is asked. The rules are those of `cp`, `mv`, `rm`, `du` and `head`:

- ``a/b`` is the object of that key; with ``--recursive`` the tree below ``a/b/``, and nothing that merely
  starts with ``a/b``.
- ``a/b/``, and ``""`` for the whole store, is the tree below it.
- ``a/*.gz`` is what matches: ``*`` stands for any characters and ``?`` for any one, ``/`` among them. All
  else is literal, and ``--raw`` makes these two literal as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal["object", "tree", "wildcard", "manifest"]


@dataclass(frozen=True, slots=True)
class Selection:
    """A source argument, understood.

    ``key`` is what was given, ``prefix`` what a listing has to start with, and ``base`` what every selected
    key starts with and loses to become relative. ``name`` is the last component of a tree that was given
    without its slash: it is kept where the tree goes *into* something, and ``""`` otherwise.
    """

    kind: Kind
    key: str
    prefix: str
    base: str
    name: str = ""

    def predicate(self) -> Callable[[str], bool]:
        """Return whether a listed key is selected."""
        return _wildcard(self.key) if self.kind == "wildcard" else lambda _key: True


def select(
    key: str, *, recursive: bool = False, raw: bool = False, name: str = "", slash_is_enough: bool = True
) -> Selection:
    """Understand ``key`` of a source.

    ``name`` is for a local directory that is itself the root of its store (so that ``key`` is ``""``) and was
    given without a slash: its last component. ``slash_is_enough`` is False for `rm`, where a tree needs
    ``--recursive`` even with its slash.

    Raises:
        ConfigError: A tree without ``recursive`` where that is needed.
    """
    if not raw and has_wildcard(key):
        return _select_wildcard(key)
    is_tree = not key or key.endswith("/")
    if is_tree and not name:
        if not (recursive or slash_is_enough):
            raise needs_recursive(key or "the whole bucket or directory")
        return Selection("tree", key, key, key)
    if recursive:
        base = as_directory(key)
        return Selection("tree", key, base, base, name or key.rpartition("/")[2])
    if name:
        raise needs_recursive(name)
    return Selection("object", key, key, key[: key.rfind("/") + 1])


def select_manifest(key: str) -> Selection:
    """Understand ``key`` as the tree that the keys of a manifest lie in.

    Raises:
        ConfigError: It names an object or has a wildcard.
    """
    if key and not key.endswith("/"):
        raise ConfigError(
            f"with a manifest the source is a bucket, a directory or a prefix, not {key!r}",
            hint="end the source in a slash",
        )
    return Selection("manifest", key, key, key)


def has_wildcard(key: str) -> bool:
    """Say whether ``key`` holds one of the two wildcards."""
    return "*" in key or "?" in key


def as_directory(key: str) -> str:
    """Return ``key`` with a slash at its end; ``""``, the whole store, stays as it is."""
    return key if not key or key.endswith("/") else key + "/"


def needs_recursive(name: str) -> ConfigError:
    """Return the error for a tree that was given without ``--recursive``."""
    return ConfigError(
        f"{name} is a directory or prefix, and --recursive was not given",
        hint="add --recursive (-r)"
        + ("" if name.endswith("/") else f", or write {name}/ for what is under it"),
    )


def _select_wildcard(key: str) -> Selection:
    prefix = key[: min(at for at in (key.find("*"), key.find("?")) if at >= 0)]
    return Selection("wildcard", key, prefix, prefix[: prefix.rfind("/") + 1])


def _wildcard(key: str) -> Callable[[str], bool]:
    # Only here: most commands have no wildcard.
    import re

    parts = ({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in re.split(r"([*?])", key))
    matches = re.compile("".join(parts), re.DOTALL).fullmatch
    return lambda listed: matches(listed) is not None
