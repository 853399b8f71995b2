"""What S3 takes as a key, a tag, a header: judged for one value, quickly for many."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Longest key in bytes (S3 user guide, "Naming Amazon S3 objects").
MAX_KEY: Final = 1024
#: S3 user guide, "Categorizing your objects using tags": how many, and their lengths in characters.
MAX_TAGS: Final = 10
MAX_TAG_KEY: Final = 128
MAX_TAG_VALUE: Final = 256
#: S3 user guide, "Working with object metadata": keys and values together, in bytes.
MAX_METADATA: Final = 2048

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_TAG: Final = re.compile(r"(?:[^\W\n]|[ +\-=.:/@])*")
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def unfit_keys(texts: Sequence[str | None], longest: int = MAX_KEY) -> list[int]:
    """Return the positions of what is no key; None is none."""
    # all() finds None and "" at once; ASCII texts have as many bytes as characters.
    if all(texts):
        known: list[str] = texts  # type: ignore[assignment]  # all() has seen that none is None
        if "".join(known).isascii() and max(map(len, known), default=0) <= longest:
            return []
    return [at for at, text in enumerate(texts) if text is None or flaw_of_key(text, longest)]


def flaw_of_key(key: str, longest: int = MAX_KEY) -> str:
    """Say why a text cannot be a key of at most ``longest`` bytes; ``""`` if it can."""
    if not key:
        return "it is empty"
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    return "" if length <= longest else f"it has {length:,} bytes, over {longest:,}"


def has_control(text: str) -> bool:
    """Whether there are control characters in a text."""
    return _CONTROL.search(text) is not None


def flaw_of_tag_key(key: str) -> str:
    """Say why a text cannot be the key of a tag; ``""`` if it can."""
    if not 0 < len(key) <= MAX_TAG_KEY:
        return f"the key of a tag has 1 to {MAX_TAG_KEY} characters, not {len(key)}"
    if key.lower().startswith("aws:"):
        return "tags that begin with aws: are AWS's own"
    return _flaw_of_tag(key)


def flaw_of_tag_value(value: str) -> str:
    """Say why a text cannot be the value of a tag; ``""`` if it can."""
    if len(value) > MAX_TAG_VALUE:
        return f"the value of a tag has at most {MAX_TAG_VALUE} characters, not {len(value)}"
    return _flaw_of_tag(value)


def _flaw_of_tag(text: str) -> str:
    if _TAG.fullmatch(text):
        return ""
    odd = next(character for character in text if not _TAG.fullmatch(character))
    return f"tags hold letters, digits, spaces and + - = . _ : / @, not {odd!r}"


def flaw_of_header(value: str) -> str:
    """Say why a text cannot be the value of a header or of metadata; ``""`` if it can."""
    if not value.isascii():
        return "headers and metadata carry ASCII only"
    if not value.isprintable() or value != value.strip():
        return "headers and metadata carry no control characters, nor white space at their ends"
    return ""


def is_token(name: str) -> bool:
    """Whether a name can be that of a header."""
    return _TOKEN.fullmatch(name) is not None
