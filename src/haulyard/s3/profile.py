"""The shared files of AWS, ``~/.aws/config`` and ``~/.aws/credentials``, read as botocore reads them.

botocore takes half a second to import; these files take two milliseconds with its parser alone.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: An option's value: text, or the sub-section that an indented block makes.
Option = str | dict[str, str]
Section = dict[str, Option]

# In botocore's order; the first that is set wins.
_PROFILE_VARIABLES = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")


class SharedFiles(NamedTuple):
    """Both files, parsed.

    ``profiles`` holds the profiles of both, as botocore merges them (the credentials file wins);
    ``config`` the profiles of the config file alone, ``credentials`` the sections of the other,
    ``services`` the ``[services NAME]`` sections.
    """

    profiles: dict[str, Section]
    config: dict[str, Section]
    credentials: dict[str, Section]
    services: dict[str, Section]


class Profile(NamedTuple):
    """What a profile says of S3; ``""`` and None where it says nothing. Credentials are not among it."""

    name: str = "default"
    region: str = ""
    endpoint_url: str = ""
    addressing_style: str = ""
    use_accelerate_endpoint: bool | None = None
    use_dualstack_endpoint: bool | None = None
    use_fips_endpoint: bool | None = None
    request_checksum_calculation: str = ""
    response_checksum_validation: str = ""
    ca_bundle: str = ""


def profile_name(environ: Mapping[str, str]) -> str | None:
    """Return the profile that the environment names, or None."""
    return next((environ[name] for name in _PROFILE_VARIABLES if name in environ), None)


def read_files(environ: Mapping[str, str]) -> SharedFiles:
    """Read both files; one that does not exist is empty.

    Raises:
        ConfigError: A file is not in INI form. The message repeats none of its lines.
    """
    raw = _parse(environ.get("AWS_CONFIG_FILE", "~/.aws/config"))
    credentials = _parse(environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"))
    config: dict[str, Section] = {}
    services: dict[str, Section] = {}
    for title, section in raw.items():
        if title == "default":
            config[title] = section
        elif title.startswith("profile"):
            config.update(_titled(title, section))
        elif title.startswith("services"):
            services.update(_titled(title, section))
    profiles = {
        name: {**config.get(name, {}), **credentials.get(name, {})} for name in {**config, **credentials}
    }
    return SharedFiles(profiles, config, credentials, services)


def read_profile(environ: Mapping[str, str], name: str = "") -> Profile:
    """Return what the profile ``name`` says, else the one that the environment names, else ``default``.

    ``endpoint_url`` is that of the profile's services section before the profile's own, and ``""`` where
    configured endpoints are to be ignored.

    Raises:
        ConfigError: The profile was asked for and does not exist, or a file is not in INI form.
    """
    files = read_files(environ)
    wanted = name or profile_name(environ)
    # An empty AWS_PROFILE names a profile, as it does for botocore.
    section = files.profiles.get("default" if wanted is None else wanted)
    if section is None:
        if wanted is not None:
            raise missing_profile(wanted, files)
        return Profile()
    s3 = section.get("s3")
    nested: Mapping[str, Option] = s3 if isinstance(s3, dict) else {}
    dualstack = _boolean(nested, "use_dualstack_endpoint")
    return Profile(
        name=wanted or "default",
        region=_text(section, "region"),
        endpoint_url=_endpoint_url(environ, files, section),
        addressing_style=_text(nested, "addressing_style"),
        use_accelerate_endpoint=_boolean(nested, "use_accelerate_endpoint"),
        use_dualstack_endpoint=_boolean(section, "use_dualstack_endpoint")
        if dualstack is None
        else dualstack,
        use_fips_endpoint=_boolean(section, "use_fips_endpoint"),
        request_checksum_calculation=_text(section, "request_checksum_calculation"),
        response_checksum_validation=_text(section, "response_checksum_validation"),
        ca_bundle=_text(section, "ca_bundle"),
    )


def missing_profile(name: str, files: SharedFiles) -> ConfigError:
    """Return the error for a profile that neither file has."""
    known = ", ".join(sorted(files.profiles))
    return ConfigError(
        f"the AWS profile {name!r} does not exist",
        hint=f"the profiles are: {known}" if known else "there are no profiles; `aws configure` makes one",
    )


def _endpoint_url(environ: Mapping[str, str], files: SharedFiles, section: Section) -> str:
    ignore = environ.get(
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", _text(section, "ignore_configured_endpoint_urls")
    )
    if ignore.lower() == "true":
        return ""
    s3 = files.services.get(_text(section, "services"), {}).get("s3")
    return (_text(s3, "endpoint_url") if isinstance(s3, dict) else "") or _text(section, "endpoint_url")


def _text(section: Mapping[str, Option], name: str) -> str:
    value = section.get(name, "")
    return value if isinstance(value, str) else ""


def _boolean(section: Mapping[str, Option], name: str) -> bool | None:
    value = section.get(name)
    return value.lower() == "true" if isinstance(value, str) else None


def _titled(title: str, section: Section) -> dict[str, Section]:
    """Return ``{NAME: section}`` for ``[profile NAME]``, with the name in quotes or not."""
    import shlex  # rare: a machine without named profiles never gets here

    try:
        parts = shlex.split(title)
    except ValueError:
        return {}
    return {parts[1]: section} if len(parts) == 2 else {}  # noqa: PLR2004 -- kind and name


def _parse(path: str) -> dict[str, Section]:
    path = os.path.expanduser(os.path.expandvars(path))
    if not os.path.isfile(path):
        return {}
    # Two milliseconds that a machine without these files does not pay.
    import configparser

    parser = configparser.RawConfigParser()
    try:
        parser.read([path])
        return {
            title: {name: _option(value) for name, value in parser.items(title)}
            for title in parser.sections()
        }
    except (configparser.Error, UnicodeDecodeError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f", line {line}" if line else ""
        # The parser's own message quotes the line, which may hold a secret.
        raise ConfigError(f"{path}{where} is not a valid file of AWS settings") from None


def _option(value: str) -> Option:
    """Return a value, or the sub-section that an indented block is; ValueError for a line without ``=``."""
    if not value.startswith("\n"):
        return value
    lines = [line.split("=", 1) for line in map(str.strip, value.splitlines()) if line]
    return {name.strip(): text.strip() for name, text in lines}
