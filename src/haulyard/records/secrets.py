"""Values that come from the environment when they are used, so that no job keeps a secret. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRETIVE: Final = re.compile(
    r"authorization|cookie|token|secret|password|api[-_]?key|x-auth", re.IGNORECASE
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
    if not (colon and _NAME.fullmatch(name)) or "\n" in value or "\r" in value:
        raise ConfigError(f"--header {name!r} is no header", hint="write --header 'Name: value'")
    if _SECRETIVE.search(name) and not _VARIABLE.search(value):
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


def filled(text: str, environ: Mapping[str, str]) -> str:
    """Return ``text`` with each ``${VARIABLE}`` replaced.

    Raises:
        ConfigError: A variable is not set, or empty.
    """

    def value(match: re.Match[str]) -> str:
        found = environ.get(match[1], "")
        if not found:
            raise ConfigError(
                f"the variable {match[1]} is not set", hint=f"export {match[1]}=…, or write it into .env"
            )
        return found

    return _VARIABLE.sub(value, text)
