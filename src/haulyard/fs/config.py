"""What a provider is told: which part of which bucket, how it is reached, and what its files get."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict

from haulyard.client.arguments import check_texts
from haulyard.errors import ConfigError
from haulyard.fs.paths import check_prefix
from haulyard.models import PutOptions
from haulyard.transfer.parts import DEFAULT_PART_SIZE, MIB, S3_LIMITS, check_part_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.fs.encryption.model import ClientSideEncryption
    from haulyard.models import Encryption

    ChecksumAlgorithm = Literal["CRC64NVME", "CRC32", "CRC32C", "SHA256", "SHA1", "MD5", "none"]


class FileProperties(TypedDict, total=False):
    """What a written file gets besides its content, in place of what the configuration says.

    ``content_type`` is guessed from the path unless given; ``metadata`` and ``tags`` add to those of the
    configuration. ``acl`` is a canned ACL.
    """

    content_type: str
    content_encoding: str
    content_disposition: str
    content_language: str
    cache_control: str
    metadata: Mapping[str, str]
    tags: Mapping[str, str]
    storage_class: str
    acl: str


ALGORITHMS: Final = ("CRC64NVME", "CRC32", "CRC32C", "SHA256", "SHA1", "MD5", "none")
#: Settings of the client that have a field of their own here.
_OWN: Final = frozenset(
    {
        "endpoint_url",
        "region",
        "profile",
        "no_sign_request",
        "addressing",
        "accelerate",
        "concurrency",
        "part_size",
        "checksum_algorithm",
        "state_dir",
        "job_dir",
    }
)


@dataclass(frozen=True, slots=True)
class S3ProviderConfig:
    """The settings of an `S3Provider`.

    Of the fields about reaching the store, what is ``""`` or None comes from where it does for `AsyncClient`:
    ``HAUL_*`` and AWS's variables, ``.env``, ``haul.toml``, the AWS profile.

    Args:
        bucket: Its name, or the ARN of an access point.
        prefix: The directory in the bucket that is this filesystem's root; nothing outside is reachable.
        endpoint_url: Address of an S3-compatible store.
        region: Region to begin with.
        profile: Profile of AWS's shared config files.
        access_key: Access key id, with ``secret_key``, instead of the credentials that AWS's chain finds.
        secret_key: The secret that belongs to it.
        session_token: The token of temporary keys.
        no_sign_request: Send no credentials, for public buckets.
        addressing: ``auto``, ``path`` or ``virtual``: where the bucket stands in URLs.
        accelerate: Use S3 Transfer Acceleration.
        storage_class: Of files that are written; ``""`` is the bucket's default.
        encryption: By the store: SSE-S3, SSE-KMS, or SSE-C, whose key then goes with every call.
        client_side_encryption: Before anything is sent: the store never sees plaintext or keys. Listings,
            then, tell sizes under the assumption that every file is encrypted, for no other can be read.
        metadata: Of every file that is written, below what a call gives.
        tags: As ``metadata``. Copies keep the tags of their source.
        acl: A canned ACL of every file that is written; new buckets of AWS have ACLs disabled.
        multipart_threshold: Bytes above which a file is written in parts and read in ranges (8 MiB).
        part_size: Bytes of a part or a range (8 MiB; parts grow where a file needs more than 10,000).
        concurrency: Requests in flight at most, all calls together (32).
        file_concurrency: Ranges of one file that are read at the same time (4).
        cache_size: Bytes of metadata and listings that are remembered (16 MiB); 0 remembers nothing.
        cache_entries: How many of them at most (100,000).
        cache_ttl: Seconds until what others have changed is seen (10); 0 remembers nothing.
        max_file_size: Bytes of a file at most, to be written or to be read into memory; 0 for no limit but
            the store's.
        checksum_algorithm: What is sent with every write, for the store to verify: ``CRC64NVME``, ``CRC32``,
            ``CRC32C``, ``SHA256``, ``SHA1``, ``MD5`` (as Content-MD5) or ``none``.
        directory_markers: Give directories that are created a marker (an empty object whose key ends in a
            slash), so that they exist while nothing is in them. Otherwise a directory exists while a file
            lies in it.
        job_dir: Where the journals of directory copies and moves lie (``.haul/jobs``).
        state_dir: Where is remembered what endpoints can do.
        settings: Any other setting of `AsyncClient` by its name: ``retries``, ``bwlimit``, ``ca_bundle`` …

    Raises:
        ConfigError: A value that is not allowed.
    """

    bucket: str
    prefix: str = ""
    endpoint_url: str = ""
    region: str = ""
    profile: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    no_sign_request: bool | None = None
    addressing: Literal["", "auto", "path", "virtual"] = ""
    accelerate: bool | None = None
    storage_class: str = ""
    encryption: Encryption | None = None
    client_side_encryption: ClientSideEncryption | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    acl: str = ""
    multipart_threshold: int = DEFAULT_PART_SIZE
    part_size: int = DEFAULT_PART_SIZE
    concurrency: int = 32
    file_concurrency: int = 4
    cache_size: int = 16 * MIB
    cache_entries: int = 100_000
    cache_ttl: float = 10.0
    max_file_size: int = 0
    checksum_algorithm: ChecksumAlgorithm = "CRC64NVME"
    directory_markers: bool = False
    job_dir: str = ""
    state_dir: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.bucket:
            raise ConfigError("a provider needs a bucket", hint='S3ProviderConfig("my-bucket")')
        object.__setattr__(self, "prefix", check_prefix(self.prefix))
        check_part_size(self.part_size)
        for name, least, most in (
            ("multipart_threshold", 1, S3_LIMITS.max_put_size),
            ("part_size", 1, S3_LIMITS.max_part_size),
            ("concurrency", 1, 10_000),
            ("file_concurrency", 1, 1_000),
            ("cache_size", 0, None),
            ("cache_entries", 0, None),
            ("cache_ttl", 0, None),
            ("max_file_size", 0, None),
        ):
            value = getattr(self, name)
            if value < least or (most is not None and value > most):
                limits = f"{least} or more" if most is None else f"{least} to {most}"
                raise ConfigError(f"{name}={value!r} is not allowed", hint=f"give {limits}")
        if self.checksum_algorithm not in ALGORITHMS:
            raise ConfigError(
                f"checksum_algorithm={self.checksum_algorithm!r} is not allowed",
                hint=f"one of {', '.join(ALGORITHMS)}",
            )
        check_texts("metadata", self.metadata)
        check_texts("tags", self.tags)
        if taken := sorted(_OWN.intersection(self.settings)):
            raise ConfigError(
                f"settings={{{taken[0]!r}: …}} has a field of its own", hint=f"S3ProviderConfig({taken[0]}=…)"
            )

    def client_options(self) -> dict[str, Any]:
        """Return the keyword arguments of the `AsyncClient` that reaches the bucket."""
        return {
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "session_token": self.session_token,
            "endpoint_url": self.endpoint_url or None,
            "region": self.region or None,
            "profile": self.profile or None,
            "no_sign_request": self.no_sign_request,
            "addressing": self.addressing or None,
            "accelerate": self.accelerate,
            "concurrency": self.concurrency,
            "part_size": self.part_size,
            # The client's name for it is none: MD5 goes as Content-MD5, which the provider adds.
            "checksum_algorithm": "none" if self.checksum_algorithm == "MD5" else self.checksum_algorithm,
            "job_dir": self.job_dir or None,
            "state_dir": self.state_dir or None,
            **self.settings,
        }

    def put_options(self) -> PutOptions:
        """Return what every file that is written gets."""
        return PutOptions(
            storage_class=self.storage_class,
            encryption=self.encryption,
            metadata=self.metadata,
            tags=self.tags,
            acl=self.acl,
        )
