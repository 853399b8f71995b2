"""Every setting, once: its name, kind, default, other names and help.

The name gives the flag (``--part-size``), the variable (``HAUL_PART_SIZE``) and the key of ``haul.toml``
(``part_size``). `haulyard.config.resolve` decides which source wins.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from haulyard.config.kinds import (
    ACCOUNT,
    DURATION,
    ENDPOINT,
    FLAG,
    PART_SIZE,
    RATE,
    TEXT,
    Kind,
    choice,
    count,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed import DataclassInstance

_T = TypeVar("_T")

CHECKSUM_ALGORITHMS = ("CRC64NVME", "CRC32", "CRC32C", "SHA256", "SHA1", "none")
LOG_LEVELS = ("debug", "info", "warning", "error")


class Setting(NamedTuple):
    """What is known of one setting beyond its value.

    ``names`` are the variables besides ``HAUL_…`` that give it, strongest first; ``profile_key`` is its name
    among the values of an AWS profile; ``flag`` switches the default off where it starts with ``--no-``.
    """

    name: str
    kind: Kind
    help: str
    names: tuple[str, ...]
    profile_key: str
    flag: str

    @property
    def variable(self) -> str:
        """The setting's own environment variable."""
        return "HAUL_" + self.name.upper()


class _Declared(NamedTuple):
    kind: Kind
    help: str
    names: tuple[str, ...]
    profile_key: str
    flag: str


def setting(
    default: _T,
    kind: Kind,
    text: str,
    *,
    names: tuple[str, ...] = (),
    profile_key: str = "",
    flag: str = "",
) -> _T:
    """Declare a field; ``flag`` where it differs from the name (a switch that turns the default off)."""
    declared = _Declared(kind, text, names, profile_key, flag)
    return field(default=default, metadata={"setting": declared})


def _fold_algorithm(text: str) -> str:
    return "none" if text.lower() == "none" else text.upper()


def default_state_dir(environ: Mapping[str, str]) -> str:
    """Return where resumable transfers keep their state, by the XDG base directory specification."""
    base = environ.get("XDG_STATE_HOME", "")
    # The specification says that a relative path is to be ignored.
    if not base.startswith("/"):
        base = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".local", "state")
    return f"{base}/haulyard"


@dataclass(frozen=True, slots=True)
class Settings:
    """The value of every setting, and where it came from.

    ``origins`` maps each name to its source (``--region``, ``HAUL_REGION``, ``.env``, ``haul.toml``,
    ``profile dev``, ``default``); ``warnings`` are for the user's eyes; ``environment`` is the process's
    environment over ``.env``, for the credential chain, and never shown.
    """

    endpoint_url: str = setting(
        "",
        ENDPOINT,
        "address of the S3-compatible store; empty for AWS",
        names=("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        profile_key="endpoint_url",
    )
    profile: str = setting(
        "",
        TEXT,
        "profile of AWS's shared config files",
        # In botocore's order, so that region and credentials come from the same profile.
        names=("AWS_DEFAULT_PROFILE", "AWS_PROFILE"),
    )
    region: str = setting(
        "",
        TEXT,
        "region to begin with; a bucket's own region is found out",
        names=("AWS_REGION", "AWS_DEFAULT_REGION"),
        profile_key="region",
    )
    source_endpoint_url: str = setting("", ENDPOINT, "the source's endpoint, where it is another store")
    source_profile: str = setting("", TEXT, "the source's profile, where it is another store")
    source_region: str = setting("", TEXT, "the source's region, where it is another store")
    no_sign_request: bool = setting(False, FLAG, "send requests without credentials (public buckets)")
    ca_bundle: str = setting(
        "",
        TEXT,
        "file of certificates to trust instead of the system's",
        names=("AWS_CA_BUNDLE",),
        profile_key="ca_bundle",
    )
    verify_ssl: bool = setting(True, FLAG, "verify TLS certificates", flag="--no-verify-ssl")
    request_payer: str = setting(
        "", choice("requester"), "'requester': agree to pay for requests and traffic"
    )
    expected_bucket_owner: str = setting("", ACCOUNT, "refuse buckets of any other account")
    concurrency: int = setting(32, count(1, 10_000), "requests in flight at most")
    part_size: int = setting(0, PART_SIZE, "size of the parts of large objects; 0 or auto: by object size")
    retries: int = setting(
        10,
        count(1, 1_000),
        "attempts of one request in all, throttling not counted",
        names=("MAX_RETRIES", "AWS_MAX_ATTEMPTS"),
    )
    retry_base_delay: float = setting(
        0.1,
        DURATION,
        "first pause before a request is tried again; it doubles, and is drawn at random below that",
        names=("RETRY_BASE_DELAY",),
    )
    bwlimit: int = setting(0, RATE, "bytes a second at most, both directions together; 0: no limit")
    addressing: str = setting(
        "auto",
        choice("auto", "path", "virtual"),
        "where the bucket stands in URLs; auto: in the host for AWS, in the path elsewhere",
        profile_key="addressing_style",
    )
    use_dualstack: bool = setting(
        False,
        FLAG,
        "use the dual-stack (IPv6) endpoints of AWS",
        names=("AWS_USE_DUALSTACK_ENDPOINT",),
        profile_key="use_dualstack_endpoint",
    )
    use_fips: bool = setting(
        False,
        FLAG,
        "use the FIPS endpoints of AWS",
        names=("AWS_USE_FIPS_ENDPOINT",),
        profile_key="use_fips_endpoint",
    )
    accelerate: bool = setting(
        False,
        FLAG,
        "use S3 Transfer Acceleration",
        profile_key="use_accelerate_endpoint",
    )
    checksum_algorithm: str = setting(
        "CRC64NVME",
        choice(*CHECKSUM_ALGORITHMS, fold=_fold_algorithm),
        "checksum that uploads carry",
    )
    request_checksum_calculation: str = setting(
        "when_supported",
        choice("when_supported", "when_required"),
        "when uploads carry a checksum",
        names=("AWS_REQUEST_CHECKSUM_CALCULATION",),
        profile_key="request_checksum_calculation",
    )
    response_checksum_validation: str = setting(
        "when_supported",
        choice("when_supported", "when_required"),
        "when the checksums of downloads are verified",
        names=("AWS_RESPONSE_CHECKSUM_VALIDATION",),
        profile_key="response_checksum_validation",
    )
    log_level: str = setting("warning", choice(*LOG_LEVELS), "how much is said on standard error")
    log_file: str = setting("", TEXT, "file that the log is appended to; standard error keeps the warnings")
    progress: bool | None = setting(None, FLAG, "show a progress bar; unset: on a terminal")
    json: bool = setting(False, FLAG, "print one JSON object a line")
    state_dir: str = setting("", TEXT, "where resumable transfers keep their state")
    job_dir: str = setting(".haul/jobs", TEXT, "where jobs keep their plans and journals")
    local_dir: str = setting(".haul/local", TEXT, "where the embedded store keeps its data")

    origins: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    warnings: tuple[str, ...] = field(default=(), compare=False, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.environment:
            object.__setattr__(self, "environment", dict(os.environ))
        if not self.state_dir:
            object.__setattr__(self, "state_dir", default_state_dir(self.environment))

    @property
    def profile_chosen(self) -> bool:
        """Whether a flag named the profile, which then goes before keys in the environment."""
        return self.origins.get("profile", "").startswith("--")

    def for_source(self) -> Settings:
        """Return the settings of the source's side: those of ``source_…`` where they are given.

        Another profile brings its own endpoint and region; the ``source_…`` settings already hold them.
        """
        if not (self.source_endpoint_url or self.source_profile or self.source_region):
            return self
        alone = bool(self.source_profile)
        origins = dict(self.origins)
        if alone:
            origins["profile"] = "--source-profile"
        return replace(
            self,
            endpoint_url=self.source_endpoint_url or ("" if alone else self.endpoint_url),
            profile=self.source_profile or self.profile,
            region=self.source_region or ("" if alone else self.region),
            origins=origins,
        )


def table_of(owner: type[DataclassInstance]) -> dict[str, Setting]:
    """Return the settings that are fields of a dataclass, by name, in the order of their declaration."""
    table: dict[str, Setting] = {}
    for each in fields(owner):
        declared: _Declared | None = each.metadata.get("setting")
        if declared is not None:
            kind, text, names, profile_key, flag = declared
            flag = flag or "--" + each.name.replace("_", "-")
            table[each.name] = Setting(each.name, kind, text, names, profile_key, flag)
    return table


#: Every setting by name, in the order of their declaration.
SETTINGS: dict[str, Setting] = table_of(Settings)
