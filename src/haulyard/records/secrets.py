"""Values that come from the environment when they are used, so that no job keeps a secret. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRETIVE: Final = re.compile(
    r"authorization|cookie|token|secret|passw|credential|signature|x-auth"
    r"|(?:api|access|auth|private|subscription|functions)[-_]?key",
    re.IGNORECASE,
)
_SCHEME: Final = re.compile(r"(?:bearer|basic|digest|token)\s+\S", re.IGNORECASE)
#: In the query of a URL these are keys, too.
_QUERY: Final = re.compile(r"key|sig|auth|pwd", re.IGNORECASE)
#: What a call is made of decides on these.
_OURS: Final = frozenset(
    {"connection", "content-length", "expect", "host", "idempotency-key", "transfer-encoding", "upgrade"}
)
_USER: Final = re.compile(r"https?://[^/?#@]*@", re.IGNORECASE)
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def parse_header(text: str) -> tuple[str, str]:
    """Return name and value of ``NAME: VALUE``; ``${VARIABLE}`` in the value stays as it is.

    Raises:
        ConfigError: It is none, or holds a secret that would be kept in the job's folder.
    """
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not (colon and _NAME.fullmatch(name)) or not value.isprintable():
        raise ConfigError(f"--header {name!r} is no header", hint="write --header 'Name: value'")
    if name.lower() in _OURS:
        raise ConfigError(f"--header {name} is not yours to give", hint="Haulyard sets it for each call")
    if (_SECRETIVE.search(name) or _SCHEME.match(value)) and not _VARIABLE.search(value):
        raise ConfigError(
            f"the value of the header {name} would be kept in the job's folder",
            hint=f"put it into a variable: --header '{name}: Bearer ${{API_TOKEN}}'",
        )
    return name, value


def check_url(url: str) -> None:
    """Refuse an address with a password in it. Raises ConfigError; the address is not repeated."""
    if _USER.match(url):
        raise ConfigError(
            "the API's address holds a user or password, which would be kept in the job's folder",
            hint="use --header 'Authorization: Basic ${API_BASIC_AUTH}'",
        )


def check_address(url: str) -> None:
    """Refuse an address, its variables unfilled, with a secret in it. Raises ConfigError."""
    check_url(url)
    for pair in url.partition("#")[0].partition("?")[2].split("&"):
        name, _, value = pair.partition("=")
        secretive = _SECRETIVE.search(name) or _QUERY.fullmatch(name)
        if value and secretive and not _VARIABLE.search(value):
            raise ConfigError(
                f"the value of {name} in the API's address would be kept in the job's folder",
                hint=f"put it into a variable: --to 'https://…?{name}=${{API_KEY}}'",
            )


def check_variables(texts: Iterable[str], environ: Mapping[str, str]) -> None:
    """Refuse texts with a ``${VARIABLE}`` that is not set. Raises ConfigError."""
    for text in texts:
        filled(text, environ)


def filled(text: str, environ: Mapping[str, str]) -> str:
    """Return ``text`` with each ``${VARIABLE}`` replaced.

    Raises:
        ConfigError: A variable is not set, or empty, or holds more than one line.
    """

    def value(match: re.Match[str]) -> str:
        found = environ.get(match[1], "")
        if not found:
            raise ConfigError(
                f"the variable {match[1]} is not set", hint=f"export {match[1]}=…, or write it into .env"
            )
        if not found.isprintable():
            raise ConfigError(
                f"the variable {match[1]} is not one line of text", hint="cut its line break off"
            )
        return found

    return _VARIABLE.sub(value, text)
