"""Names of jobs."""

from __future__ import annotations

import hashlib
import json
import re

from haulyard.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", re.ASCII)
_SLUG_LENGTH = 40
_DIGITS = 8


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a job, which is also that of its directory.

    Raises:
        ConfigError: It has other characters than ``A-Z a-z 0-9 . _ -``, begins with a dot, is empty, or is
            longer than 100 characters.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be the name of a job",
            hint="use up to 100 letters, digits, '.', '_' and '-', no dot first",
        )


def derived_name(verb: str, *parts: str) -> str:
    """Return the name of a job that nobody named: the same parts give the same name.

    It reads ``move-photos-2024-3f9a01c2``: the verb, what the first part (the source) is, in at most 40
    characters of ``a-z 0-9 -``, and 8 hexadecimal digits of a SHA-256 over the verb and all parts.
    """
    digest = hashlib.sha256(json.dumps([verb, *parts]).encode()).hexdigest()[:_DIGITS]
    return "-".join(filter(None, (_slug(verb), _slug(parts[0] if parts else ""), digest)))


def _slug(text: str) -> str:
    # A URL may carry a password before "@" and a signature after "?"; neither belongs in a name.
    scheme, found, rest = text.partition("://")
    if found:
        authority, slash, path = rest.partition("?")[0].partition("/")
        text = authority.rpartition("@")[2] + slash + path
    else:
        text = scheme
    return re.sub(r"[^a-z0-9]+", "-", text.lower(), flags=re.ASCII).strip("-")[:_SLUG_LENGTH].rstrip("-")
