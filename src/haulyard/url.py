"""What a source or destination names: an object in S3, a local path, or a standard stream.

Understood: ``s3://bucket/key`` (also ``s3a://`` and ``s3n://``), the ``https://`` forms of AWS's S3
endpoints (virtual-hosted and path style, dual-stack, FIPS, acceleration, access points, every
partition), ARNs of buckets, objects and access points, ``file://``, local paths and ``-``.

Nothing here ever repeats a query string or user information of a URL: either could be a secret.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from haulyard.errors import ConfigError


class Partition(NamedTuple):
    """A separate AWS: its regions start with ``region_prefix``, its hosts end in ``dns_suffix``."""

    name: str
    region_prefix: str
    dns_suffix: str


#: The last one takes every region that no other claims. Source: ``partitions.json`` of botocore 1.43.
PARTITIONS = (
    Partition("aws-cn", "cn-", "amazonaws.com.cn"),
    Partition("aws-us-gov", "us-gov-", "amazonaws.com"),
    Partition("aws-iso", "us-iso-", "c2s.ic.gov"),
    Partition("aws-iso-b", "us-isob-", "sc2s.sgov.gov"),
    Partition("aws-iso-e", "eu-isoe-", "cloud.adc-e.uk"),
    Partition("aws-iso-f", "us-isof-", "csp.hci.ic.gov"),
    Partition("aws-eusc", "eusc-", "amazonaws.eu"),
    Partition("aws", "", "amazonaws.com"),
)

# A bucket by the rules of every store that we know of, AWS's old ones in us-east-1 included; it starts and
# ends with a letter or digit, so that it can neither climb out of a path nor break out of a host name.
_BUCKET = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?")
# RFC 1123, and the stricter rule for a bucket in a host name: no upper case, 3 to 63 characters.
_HOST_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_DNS_BUCKET = re.compile(r"(?=.{3,63}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_IPV4 = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}")
_REGION = r"[a-z]{2,}(?:-[a-z]+)+-[0-9]+"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):(?P<service>s3[a-z-]*):(?P<region>[a-z0-9-]*)"
    r":(?P<account>[0-9]{12}|):(?P<resource>.*)",
    re.DOTALL,
)
_AWS_HOST = re.compile(
    rf"""(?:(?P<bucket>.+)\.)?
    (?:
        s3(?P<website>-website)(?:[.-]{_REGION})?
      | s3(?P<accelerate>-accelerate)(?P<accelerate_dual>\.dualstack)?
      | s3(?P<accesspoint>-accesspoint)?(?P<fips>-fips)?(?P<dual>\.dualstack)?(?:\.(?P<region>{_REGION}))?
      | s3-(?P<dashed>{_REGION}|external-1)
    )""",
    re.VERBOSE,
)


class S3Url(NamedTuple):
    """A bucket, or an object or prefix in it.

    ``bucket`` may be the ARN of an access point; ``key`` is ``""`` for the bucket itself. The other fields
    are what an ``https://`` form said beyond that: a version, a region, and which kind of endpoint.
    """

    bucket: str
    key: str = ""
    version_id: str = ""
    region: str = ""
    dualstack: bool = False
    fips: bool = False
    accelerate: bool = False

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class LocalPath(NamedTuple):
    """A path of this machine, as it was given: a trailing slash is kept."""

    path: str

    def __str__(self) -> str:
        return self.path


class StdStream(NamedTuple):
    """``-``: standard input as a source, standard output as a destination."""

    def __str__(self) -> str:
        return "-"


class AwsHost(NamedTuple):
    """What the host name of an AWS S3 endpoint says; ``bucket`` is ``""`` for path style."""

    bucket: str
    region: str
    partition: Partition
    dualstack: bool = False
    fips: bool = False
    accelerate: bool = False


class AccessPoint(NamedTuple):
    """The parts of an access point's ARN."""

    partition: str
    region: str
    account: str
    name: str


def parse(text: str) -> S3Url | LocalPath | StdStream:
    """Return what ``text`` names.

    Raises:
        ConfigError: A scheme, bucket, host or query that Haulyard does not understand.
    """
    if text == "-":
        return StdStream()
    if not text:
        raise ConfigError("an empty name is neither a path nor a URL", hint="write . for this directory")
    if text.startswith("arn:"):
        return _split_bucket(text)
    match = _SCHEME.match(text)
    if match is None:
        return LocalPath(text)
    scheme, rest = match[1].lower(), text[match.end() :]
    if scheme in {"s3", "s3a", "s3n"}:
        return _split_bucket(rest)
    if scheme == "file":
        return _local_from_file_url(rest)
    if scheme in {"http", "https"}:
        return _parse_https(rest)
    hint = "use s3://bucket/key, a local path, or - for a stream"
    if scheme == "haul":
        plain = rest.partition("?")[0]
        hint = "write s3://bucket/key" if "@" in plain else f"write s3://{plain}"
        raise ConfigError("haul:// is how fsspec's libraries name objects; it means nothing here", hint=hint)
    raise ConfigError(f"{scheme}:// is not a scheme that Haulyard speaks", hint=hint)


def check_bucket(bucket: str) -> str:
    """Return ``bucket`` where it is a bucket name by the widest rules or an access point's ARN.

    Whether it suits a certain endpoint is decided where its address is made (`haulyard.s3.endpoint`).

    Raises:
        ConfigError: Neither of both, or of a kind that needs another protocol.
    """
    if bucket.startswith("arn:"):
        parse_access_point(bucket)
        return bucket
    if bucket.endswith(("--x-s3", "--xa-s3")):
        raise ConfigError(
            f"{bucket} is a directory bucket (S3 Express One Zone), which Haulyard does not support",
            hint="use a general purpose bucket; directory buckets need session credentials of their own",
        )
    if bucket.endswith("--op-s3"):
        raise ConfigError(f"{bucket} is an alias of S3 on Outposts, which Haulyard does not support")
    if bucket.endswith(".mrap"):
        _refuse_multi_region()
    if not _BUCKET.fullmatch(bucket):
        # A bucket with @ or : may be user information, as in s3://KEY:SECRET@bucket of other tools.
        shown = "the part before the first /" if not bucket or set("@:?%") & set(bucket) else repr(bucket)
        raise ConfigError(
            f"{shown} is no bucket name",
            hint="write s3://bucket/key; a bucket has letters, digits, dots, hyphens and underscores",
        )
    return bucket


def is_host_label(text: str) -> bool:
    """Say whether ``text`` can be one label of a host name (RFC 1123)."""
    return _HOST_LABEL.fullmatch(text) is not None


def is_dns_bucket(bucket: str) -> bool:
    """Say whether ``bucket`` can be part of a host name; dots are allowed (they break TLS wildcards)."""
    return _DNS_BUCKET.fullmatch(bucket) is not None and not _IPV4.fullmatch(bucket)


def partition_of(region: str) -> Partition:
    """Return the partition that ``region`` belongs to; the public AWS for a region nobody knows."""
    return next(each for each in PARTITIONS if region.startswith(each.region_prefix))


def parse_access_point(arn: str) -> AccessPoint:
    """Return the parts of an access point's ARN.

    Raises:
        ConfigError: Not an access point of S3, or one that needs another protocol (Multi-Region Access
            Points need SigV4A; Outposts, Object Lambda).
    """
    match = _ARN.fullmatch(arn)
    if match is None:
        raise ConfigError("not an ARN of S3", hint=_ARN_HINT)
    if match["service"] != "s3":
        raise ConfigError(f"ARNs of {match['service']} are not supported", hint=_ARN_HINT)
    kind, _, name = match["resource"].replace(":", "/").partition("/")
    if kind != "accesspoint":
        raise ConfigError(f"{arn} names no access point", hint=_ARN_HINT)
    if not match["region"]:
        _refuse_multi_region()
    if not (is_host_label(name) and is_host_label(match["region"]) and match["account"]):
        raise ConfigError(f"{arn} is no valid access point", hint=_ARN_HINT)
    return AccessPoint(match["partition"], match["region"], match["account"], name)


def parse_aws_host(host: str) -> AwsHost | None:
    """Return what the host name of an AWS S3 endpoint says, or None for any other host.

    Raises:
        ConfigError: A website endpoint or a Multi-Region Access Point, which cannot be spoken to.
    """
    host = host.lower()
    for partition in PARTITIONS:
        if host.endswith("." + partition.dns_suffix):
            break
    else:
        return None
    head = host[: -len(partition.dns_suffix) - 1]
    if head.endswith("accesspoint.s3-global"):
        _refuse_multi_region()
    match = _AWS_HOST.fullmatch(head)
    if match is None:
        return None
    if match["website"]:
        raise ConfigError(
            "this is a website endpoint, which does not speak the S3 protocol", hint="write s3://bucket/key"
        )
    region = match["region"] or match["dashed"] or ""
    region = "us-east-1" if region == "external-1" else region
    if region and partition.dns_suffix == partition_of(region).dns_suffix:
        partition = partition_of(region)
    bucket = match["bucket"] or ""
    if match["accesspoint"]:
        name, _, account = bucket.rpartition("-")
        bucket = f"arn:{partition.name}:s3:{region}:{account}:accesspoint/{name}"
    return AwsHost(
        bucket,
        region,
        partition,
        dualstack=bool(match["dual"] or match["accelerate_dual"]),
        fips=bool(match["fips"]),
        accelerate=bool(match["accelerate"]),
    )


_ARN_HINT = "write s3://arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME/key"


def _refuse_multi_region() -> None:
    raise ConfigError(
        "Multi-Region Access Points are not supported: they need SigV4A signatures",
        hint="name one of the buckets behind it: s3://bucket/key",
    )


def _split_bucket(rest: str) -> S3Url:
    """Split what follows ``s3://`` at the end of the bucket or of the access point's name."""
    match = _ARN.fullmatch(rest)
    if match is None:
        bucket, _, key = rest.partition("/")
        return S3Url(check_bucket(bucket), key)
    resource = match["resource"]
    if match["service"] == "s3" and not match["region"] and not match["account"]:
        # arn:aws:s3:::bucket/key, as policies write it.
        bucket, _, key = resource.partition("/")
        return S3Url(check_bucket(bucket), key)
    kind, separator, tail = resource.partition("/")
    if ":" in kind:
        name, key = kind, tail
    else:
        name, _, key = tail.partition("/")
        name = kind + separator + name
    arn = rest[: match.start("resource")] + name
    return S3Url(arn, key, region=parse_access_point(arn).region)


def _local_from_file_url(rest: str) -> LocalPath:
    host, slash, path = rest.partition("/")
    if host.lower() not in {"", "localhost"} or not slash:
        raise ConfigError("a file:// URL must name a path of this machine", hint="write file:///path")
    return LocalPath("/" + _unescape(path))


def _parse_https(rest: str) -> S3Url:
    """Read the ``https://`` form of an AWS endpoint; ``rest`` follows the scheme."""
    rest, hash_mark, _ = rest.partition("#")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    if "@" in authority:
        raise ConfigError("a URL must not carry a user name or password", hint="write s3://bucket/key")
    if hash_mark:
        raise ConfigError("a URL must not carry a fragment", hint="a # in a key is written %23")
    known = parse_aws_host(authority.removesuffix(":443").removesuffix(":80"))
    if known is None:
        # A password with a slash in it would end the authority early.
        shown = "the host of the URL" if "@" in rest else authority
        raise ConfigError(
            f"{shown} is not an S3 endpoint of AWS",
            hint="write s3://bucket/key and name the endpoint with --endpoint-url",
        )
    bucket, key = known.bucket, path
    if not bucket:
        bucket, _, key = path.partition("/")
        bucket = _unescape(bucket)
    return S3Url(
        check_bucket(bucket),
        _unescape(key),
        _version_id(query),
        known.region,
        known.dualstack,
        known.fips,
        known.accelerate,
    )


def _version_id(query: str) -> str:
    version_id = ""
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        if name != "versionId":
            presigned = "x-amz-signature=" in query.lower()
            raise ConfigError(
                "a presigned URL cannot be used as a source or destination"
                if presigned
                else "the URL has a query other than versionId, which Haulyard does not understand",
                hint="write s3://bucket/key, which uses your own credentials",
            )
        version_id = _unescape(value)
    return version_id


def _unescape(text: str) -> str:
    """Undo percent-encoding; a plus stays a plus."""
    if "%" not in text:
        return text
    try:
        return _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), text.encode()).decode()
    except UnicodeError:
        raise ConfigError("the URL's path is not percent-encoded UTF-8") from None
