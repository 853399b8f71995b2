"""What callers may say by keyword, and the values that the rooms below understand."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypedDict

from haulyard.config import SETTINGS, resolve
from haulyard.errors import ConfigError
from haulyard.models import ByteRange, PutOptions
from haulyard.models.body import BUFFERS
from haulyard.stores.profiles import profile_values
from haulyard.transfer.content_types import content_type_of
from haulyard.transfer.filters import Filter, Pattern

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haulyard.config import Settings
    from haulyard.models import Encryption

    #: Bytes ``start`` up to but not including ``end``; None is the end of the object.
    Range = ByteRange | tuple[int, int | None]
    #: A path of this machine.
    StrPath = str | os.PathLike[str]
    #: One pattern, or several of which any may match.
    Patterns = str | Sequence[str]


class SettingOptions(TypedDict, total=False):
    """Every setting that concerns a client; None counts as not given. `haul config` explains each."""

    endpoint_url: str | None
    profile: str | None
    region: str | None
    source_endpoint_url: str | None
    source_profile: str | None
    source_region: str | None
    no_sign_request: bool | None
    ca_bundle: str | None
    verify_ssl: bool | None
    request_payer: Literal["requester"] | None
    expected_bucket_owner: str | None
    concurrency: int | None
    part_size: int | str | None
    retries: int | None
    retry_base_delay: float | str | None
    bwlimit: int | str | None
    addressing: Literal["auto", "path", "virtual"] | None
    use_dualstack: bool | None
    use_fips: bool | None
    accelerate: bool | None
    checksum_algorithm: Literal["CRC64NVME", "CRC32", "CRC32C", "SHA256", "SHA1", "none"] | None
    request_checksum_calculation: Literal["when_supported", "when_required"] | None
    response_checksum_validation: Literal["when_supported", "when_required"] | None
    state_dir: str | None
    job_dir: str | None


class Properties(TypedDict, total=False):
    """What a written object gets besides its content.

    ``content_type`` is guessed from the key unless given. ``expires`` is the Expires header: a time, or its
    text. ``metadata`` and ``tags`` are texts by name. ``acl`` is a canned ACL, ``grants`` gives by
    permission (``read``, ``full-control`` …) the grantees.
    """

    content_type: str
    content_encoding: str
    content_disposition: str
    content_language: str
    cache_control: str
    expires: str | datetime
    website_redirect: str
    metadata: Mapping[str, str]
    tags: Mapping[str, str]
    storage_class: str
    acl: str
    grants: Mapping[str, str]
    encryption: Encryption | None


def resolve_settings(given: Mapping[str, object]) -> Settings:
    """Return all settings; what is ``given`` wins over environment, files and profile.

    Raises:
        ConfigError: A value that its setting does not allow.
        TypeError: A name that is no setting of a client.
    """
    for name, value in given.items():
        if name not in SettingOptions.__annotations__:
            raise TypeError(f"a client has no setting {name!r}")
        if value is None:
            continue
        try:
            SETTINGS[name].kind.read(value)
        except ValueError:
            raise ConfigError(
                f"{name}={value!r} is not allowed", hint=f"give {SETTINGS[name].kind.allowed}"
            ) from None
    return resolve(given, os.environ, os.getcwd(), profile_values)


def check_keys(access_key: str, secret_key: str, session_token: str, settings: Settings) -> bool:
    """Return whether keys were given, all that belong together.

    Raises:
        ConfigError: A key without its secret, a token without keys, keys for requests without a signature.
    """
    if bool(access_key) != bool(secret_key) or (session_token and not access_key):
        raise ConfigError(
            "access_key, secret_key and session_token belong together",
            hint="give access_key and secret_key, and session_token where the keys are temporary",
        )
    if access_key and settings.no_sign_request:
        raise ConfigError("no_sign_request sends no keys, and keys were given", hint="leave one of them out")
    return bool(access_key)


def put_options(properties: Properties, key: str = "") -> PutOptions:
    """Return the options of a write; ``key`` gives the content type where none is given.

    Raises:
        ConfigError: A value of another kind than the property has.
    """
    check_properties(properties)
    expires = properties.get("expires", "")
    given = properties if isinstance(expires, str) else {**properties, "expires": http_date(expires)}
    options = PutOptions(**given)  # type: ignore[arg-type]  # expires is a text by now
    if key and not options.content_type:
        options = replace(options, content_type=content_type_of(key))
    return options


def check_properties(properties: Mapping[str, object]) -> None:
    """Check what a written object is to get besides its content.

    Raises:
        ConfigError: A value of another kind than the property has.
    """
    for name, value in properties.items():
        if name in {"metadata", "tags", "grants"}:
            check_texts(name, value)
        elif name != "encryption" and not isinstance(value, (str, datetime) if name == "expires" else str):
            allowed = "a text, or a datetime" if name == "expires" else "a text"
            raise ConfigError(f"{name}={value!r} is not allowed", hint=f"give {allowed}")


def check_texts(name: str, given: object) -> None:
    """Check an argument that holds texts by name.

    Raises:
        ConfigError: It is no mapping, or holds something else.
    """
    hint = f'give texts by name: {name}={{"name": "value"}}'
    items = getattr(given, "items", None)
    if items is None:
        raise ConfigError(f"{name}={given!r} is not allowed", hint=hint)
    for key, value in items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise ConfigError(f"{name}={{{key!r}: {value!r}}} is not allowed", hint=hint)


def http_date(moment: datetime) -> str:
    """Return a time as HTTP writes it; one without a zone is local time."""
    from email.utils import format_datetime  # 10 ms for a rare argument

    return format_datetime(moment.astimezone(UTC), usegmt=True)


def check_bytes(data: object) -> None:
    """Raise TypeError for what is no content, a text above all: nobody but its writer knows the encoding."""
    if not isinstance(data, BUFFERS):
        hint = "; encode it: text.encode()" if isinstance(data, str) else ""
        raise TypeError(f"an object is made of bytes, not of {type(data).__name__}{hint}")


def checksum_algorithm(settings: Settings) -> str:
    """Return the algorithm of the checksums that uploads carry, ``none`` for none."""
    if settings.request_checksum_calculation == "when_required":
        return "none"
    return settings.checksum_algorithm


def byte_range(span: Range | None) -> ByteRange | None:
    """Return the range that a caller gave.

    Raises:
        ConfigError: It is no pair of numbers.
    """
    match span:
        case None:
            return None
        case (int(start), int() | None as end):
            return ByteRange(start, end)
    raise ConfigError(
        f"range={span!r} is not allowed",
        hint="give (start, end) in bytes: end is excluded, and None means the end of the object",
    )


def seconds_of(duration: float | timedelta) -> int:
    """Return whole seconds."""
    return int(duration.total_seconds() if isinstance(duration, timedelta) else duration)


def filter_of(include: Patterns, exclude: Patterns) -> Filter:
    """Return the filter for what ``include`` matches (everything, if empty) and ``exclude`` does not."""
    return Filter(patterns_of(include, exclude))


def patterns_of(include: Patterns, exclude: Patterns) -> list[Pattern]:
    """Return the patterns of a filter in the order in which they count."""
    patterns = [Pattern(include=True, text=text) for text in _listed(include)]
    return patterns + [Pattern(include=False, text=text) for text in _listed(exclude)]


def _listed(patterns: Patterns) -> Sequence[str]:
    return (patterns,) if isinstance(patterns, str) else patterns
