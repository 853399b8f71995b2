"""Where buckets live, learned from what S3 answers.

A redirect is never followed as such: all that is taken from it is the name of a region, from which our own
rules make the new address. So no answer can lead a request, its signature or its SSE-C keys to a host that
is not AWS's own, or from https to http; a custom endpoint stays the host it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from haulyard.errors import ConfigError
from haulyard.url import is_host_label, parse_aws_host, partition_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_REGION_ELEMENT = re.compile(rb"<Region>([^<]{1,63})</Region>")
_ENDPOINT_ELEMENT = re.compile(rb"<Endpoint>([^<]{1,255})</Endpoint>")
_LOCATION_HOST = re.compile(r"(https?)://([^/?#]+)")
# 301, 302, 307, 308 and the 400 that HEAD gives; 403 carries the header, too.
_REDIRECTS = frozenset({301, 302, 307, 308})
_MISDIRECTED = _REDIRECTS | {400, 403}
# An error body is a few hundred bytes; nothing longer is looked at.
_BODY_LIMIT = 65536


def learn(
    status: int, headers: Mapping[str, str], body: bytes, region: str, *, secure: bool = True
) -> str | None:
    """Return the region that an answer to a request for ``region`` names, None where there is none to try.

    Asked of any answer: a status that is no misdirection, the region that was already tried, one of
    another partition of AWS and what is no host label all give None.

    Args:
        status: The HTTP status.
        headers: The answer's headers, lower case.
        body: The answer's body, which may hold an ``<Error>``.
        region: The region that the request was signed for.
        secure: Whether the request went over https; then a redirect to http is not looked at.
    """
    if status not in _MISDIRECTED:
        return None
    body = body[:_BODY_LIMIT]
    found = headers.get("x-amz-bucket-region", "")
    if not found and b"AuthorizationHeaderMalformed" in body:
        match = _REGION_ELEMENT.search(body)
        found = match[1].decode("latin-1") if match else ""
    if not found and status in _REDIRECTS:
        found = _region_of_target(headers.get("location", ""), body, region, secure=secure)
    if found == region or not is_host_label(found) or partition_of(found) != partition_of(region):
        return None
    return found


def _region_of_target(location: str, body: bytes, region: str, *, secure: bool) -> str:
    """Return the region of the host that a redirect names, ``""`` for a foreign host."""
    target = _LOCATION_HOST.match(location)
    host = target[2] if target else ""
    if target and secure and target[1] == "http":
        return ""
    if not host:
        element = _ENDPOINT_ELEMENT.search(body)
        host = element[1].decode("latin-1") if element else ""
    try:
        known = parse_aws_host(host.partition(":")[0])
    except ConfigError:
        return ""
    if known is None or known.partition.dns_suffix != partition_of(region).dns_suffix:
        return ""
    return known.region


class RegionCache:
    """The regions of buckets that did not live where they were looked for first.

    One redirect is enough: a bucket that has been learned once is corrected again only by an answer that
    names yet another region, which S3 gives when it was deleted and made anew elsewhere.
    """

    __slots__ = ("_regions",)

    # A process sees few buckets; the bound only guards against a leak.
    _LIMIT = 10_000

    def __init__(self) -> None:
        self._regions: dict[str, str] = {}

    def get(self, bucket: str, default: str = "") -> str:
        """Return the region learned for ``bucket``, else ``default``."""
        return self._regions.get(bucket, default)

    def learn(self, bucket: str, region: str) -> None:
        """Remember that ``bucket`` lives in ``region``."""
        if len(self._regions) >= self._LIMIT and bucket not in self._regions:
            self._regions.clear()
        self._regions[bucket] = region

    def forget(self, bucket: str) -> None:
        """Forget ``bucket``, for instance because it was deleted."""
        self._regions.pop(bucket, None)
