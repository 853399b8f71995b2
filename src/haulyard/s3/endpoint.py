"""From a bucket and a region to the address of a request.

The rules for AWS are those of botocore's endpoint rule set, to which a test compares them. Any other
endpoint gets path style unless told otherwise: few of them have the DNS names for virtual hosting.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from haulyard.errors import ConfigError
from haulyard.s3.signing import wire_path
from haulyard.url import (
    AccessPoint,
    check_bucket,
    is_dns_bucket,
    is_host_label,
    parse_access_point,
    parse_aws_host,
    partition_of,
)

DEFAULT_REGION = "us-east-1"

_ENDPOINT = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?(?P<path>/[A-Za-z0-9._~/-]*)?",
    re.IGNORECASE,
)
_IPV4 = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65535
_ADDRESSING = ("auto", "path", "virtual")


class EndpointConfig(NamedTuple):
    """Where requests go, as it was asked for.

    ``endpoint_url`` ``""`` means AWS; ``region`` ``""`` means `DEFAULT_REGION`, or the region that the host
    of an AWS endpoint names. ``addressing`` is ``auto``, ``path`` or ``virtual``.
    """

    endpoint_url: str = ""
    region: str = ""
    addressing: str = "auto"
    dualstack: bool = False
    fips: bool = False
    accelerate: bool = False


class Address(NamedTuple):
    """Where one bucket is reached (or, with ``bucket`` ``""``, the service itself).

    ``authority`` is the ``Host`` header: lower case, the port only where it is not the scheme's own.
    ``path_prefix`` is the path of the endpoint itself, encoded, without a final slash, mostly ``""``.
    ``virtual`` says that the host names the bucket, so that the path must not.
    """

    scheme: str
    host: str
    port: int
    authority: str
    path_prefix: str
    bucket: str
    virtual: bool
    signing_region: str
    signing_service: str = "s3"

    @property
    def base_url(self) -> str:
        """Scheme and authority, to which a wire path is appended."""
        return f"{self.scheme}://{self.authority}"

    @property
    def is_secure(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "https"

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine."""
        return is_loopback_host(self.host)

    @property
    def is_private(self) -> bool:
        """Whether a secret (an SSE-C key) may travel: encrypted, or never leaving this machine."""
        return self.is_secure or self.is_loopback

    def path(self, key: str) -> tuple[str, str]:
        """Return the path to send and the path to sign of ``key`` (``""`` for the bucket itself).

        Raises:
            UnsafeName: No URL can express the key (see `haulyard.s3.signing.wire_path`).
        """
        bucket = None if self.virtual or not self.bucket else self.bucket
        wire, canonical = wire_path(bucket, key)
        if self.path_prefix:
            return self.path_prefix + wire, self.path_prefix + canonical
        return wire, canonical


class Endpoint(NamedTuple):
    """An endpoint URL, taken apart."""

    scheme: str
    host: str
    port: int
    path_prefix: str

    @property
    def is_ip(self) -> bool:
        """Whether the host is a number, which cannot be prefixed with a bucket."""
        return self.host.startswith("[") or _IPV4.fullmatch(self.host) is not None


def is_loopback_host(host: str) -> bool:
    """Say whether ``host`` (lower case, IPv6 in brackets or not) is this machine."""
    return (
        host in {"localhost", "::1", "[::1]"}
        or host.endswith(".localhost")
        or (host.startswith("127.") and _IPV4.fullmatch(host) is not None)
    )


def parse_endpoint(url: str) -> Endpoint:
    """Take an endpoint URL apart.

    Raises:
        ConfigError: Not ``http(s)://host[:port][/path]``. The message repeats nothing that may be secret.
    """
    match = _ENDPOINT.fullmatch(url)
    if match is None or int(match["port"] or 0) > _MAX_PORT:
        raise ConfigError(
            "the endpoint URL is not of the form http(s)://host[:port][/path]"
            if not re.fullmatch(r"[A-Za-z0-9.:-]+", url)
            else f"the endpoint URL {url} has no scheme",
            hint="write for example --endpoint-url https://storage.example:9000",
        )
    scheme, host = match["scheme"].lower(), match["host"].lower()
    path = (match["path"] or "").rstrip("/")
    if "/." in path or "//" in path:
        raise ConfigError("the path of the endpoint URL must not hold empty segments, . or ..")
    return Endpoint(scheme, host, int(match["port"] or _DEFAULT_PORTS[scheme]), path)


@lru_cache(maxsize=1024)
def resolve(config: EndpointConfig, bucket: str = "", region: str = "") -> Address:
    """Return the address of ``bucket`` (``""`` for the service itself); remembered, as each request asks.

    ``region`` is the bucket's own where it has been learned; ``""`` takes the configured one.

    Raises:
        ConfigError: A name that is no host label, or settings that contradict each other or the bucket.
    """
    if config.addressing not in _ADDRESSING:
        raise ConfigError(f"addressing is {config.addressing!r}", hint=f"one of {', '.join(_ADDRESSING)}")
    if bucket:
        check_bucket(bucket)
    region = _region(config, region)
    if config.endpoint_url:
        return _resolve_custom(config, bucket, region)
    return _resolve_aws(config, bucket, region)


def _region(config: EndpointConfig, learned: str) -> str:
    region = learned or config.region
    if not region and config.endpoint_url:
        known = parse_aws_host(parse_endpoint(config.endpoint_url).host)
        region = known.region if known else ""
    # The old SDKs' name for "AWS without a region".
    region = DEFAULT_REGION if region in {"", "aws-global"} else region
    if not is_host_label(region):
        raise ConfigError(
            f"{region!r} is no region: not a valid host label", hint="write for example --region eu-central-1"
        )
    return region


def _resolve_custom(config: EndpointConfig, bucket: str, region: str) -> Address:
    for name, wanted in (
        ("dual-stack", config.dualstack),
        ("FIPS", config.fips),
        ("acceleration", config.accelerate),
    ):
        if wanted:
            raise ConfigError(
                f"{name} cannot be combined with an endpoint URL",
                hint="drop one of both; the endpoint URL may name the wanted AWS host itself",
            )
    endpoint = parse_endpoint(config.endpoint_url)
    if bucket.startswith("arn:"):
        point = _check_access_point(config, bucket, region)
        return _address(endpoint, bucket, point.region, f"{point.name}-{point.account}.")
    if config.addressing == "virtual" and bucket and not endpoint.is_ip:
        if not is_dns_bucket(bucket):
            raise ConfigError(
                f"the bucket {bucket} cannot be part of a host name", hint="use path style addressing"
            )
        # As on AWS: no certificate matches a host with a bucket's dots in it.
        if "." not in bucket or endpoint.scheme == "http":
            return _address(endpoint, bucket, region, f"{bucket}.")
    return _address(endpoint, bucket, region, "")


def _resolve_aws(config: EndpointConfig, bucket: str, region: str) -> Address:
    partition = partition_of(region)
    if config.fips and partition.name == "aws-cn":
        raise ConfigError("there are no FIPS endpoints in China", hint="drop the FIPS setting")
    fips = "-fips" if config.fips else ""
    dualstack = ".dualstack" if config.dualstack else ""
    if bucket.startswith("arn:"):
        point = _check_access_point(config, bucket, region)
        host = f"s3-accesspoint{fips}{dualstack}.{point.region}.{partition.dns_suffix}"
        prefix = f"{point.name}-{point.account}."
        return _address(Endpoint("https", host, 443, ""), bucket, point.region, prefix)
    # A dot would leave the wildcard of AWS's certificate: such a bucket goes into the path over https.
    virtual = bool(bucket) and config.addressing != "path" and is_dns_bucket(bucket) and "." not in bucket
    if config.accelerate and bucket:
        _check_accelerate(config, bucket, partition.name, virtual=virtual)
        host = f"s3-accelerate{dualstack}.{partition.dns_suffix}"
    else:
        host = f"s3{fips}{dualstack}.{region}.{partition.dns_suffix}"
    return _address(Endpoint("https", host, 443, ""), bucket, region, f"{bucket}." if virtual else "")


def _check_accelerate(config: EndpointConfig, bucket: str, partition: str, *, virtual: bool) -> None:
    if config.fips:
        raise ConfigError("transfer acceleration cannot be combined with FIPS", hint="drop one of both")
    if partition == "aws-cn":
        raise ConfigError("there is no transfer acceleration in China", hint="drop --accelerate")
    if not virtual:
        raise ConfigError(
            f"transfer acceleration needs the bucket in the host name, and {bucket} cannot be or must not be",
            hint="drop --accelerate, or use a bucket without dots and virtual-hosted addressing",
        )


def _check_access_point(config: EndpointConfig, arn: str, region: str) -> AccessPoint:
    point = parse_access_point(arn)
    partition = partition_of(point.region)
    if config.accelerate:
        raise ConfigError("access points have no transfer acceleration", hint="drop --accelerate")
    if config.addressing == "path":
        raise ConfigError("access points cannot be addressed by path", hint="drop the path style setting")
    if partition.name != point.partition or partition != partition_of(region):
        raise ConfigError(
            f"{arn} lies in another partition of AWS than the region {region}",
            hint=f"use credentials and a region of {point.partition}",
        )
    return point


def _address(endpoint: Endpoint, bucket: str, region: str, host_prefix: str) -> Address:
    host = host_prefix + endpoint.host
    authority = host if endpoint.port == _DEFAULT_PORTS[endpoint.scheme] else f"{host}:{endpoint.port}"
    return Address(
        endpoint.scheme,
        host,
        endpoint.port,
        authority,
        endpoint.path_prefix,
        bucket,
        bool(host_prefix),
        region,
    )
