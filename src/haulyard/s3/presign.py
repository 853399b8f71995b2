"""URLs and forms that carry their own signature: presigned requests and POST policies.

Source: "Authenticating Requests: Using Query Parameters" and "Browser-Based Uploads Using POST" of the
Amazon S3 API Reference. That the results equal botocore's is held by property tests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from haulyard.errors import ConfigError
from haulyard.models.presigned import PresignedPost, PresignedUrl
from haulyard.s3.signing import (
    ALGORITHM,
    UNSIGNED_HEADERS,
    UNSIGNED_PAYLOAD,
    amz_date,
    canonical_request,
    encode_query,
    keyed_hash,
    signature,
    signing_key,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haulyard.s3.credentials import Credentials
    from haulyard.s3.endpoint import Address
    from haulyard.s3.request import Request

#: Seven days, the most that SigV4 allows for a URL.
MAX_EXPIRES = 7 * 24 * 3600

#: A condition of a POST policy: ``{"acl": "private"}``, ``["starts-with", "$key", "user/"]`` or
#: ``["content-length-range", 0, 1048576]``.
Condition = dict[str, str] | list[str | int]


@dataclass(frozen=True, slots=True)
class PostPolicy:
    """What an upload by form may be.

    ``key`` is the exact key, or, ending in ``${filename}``, a prefix below which the browser's file name
    goes; ``key_prefix`` instead allows any key below it. ``length_range`` is the least and the greatest
    size in bytes. ``fields`` are form fields with fixed values (``acl``, ``Content-Type``,
    ``x-amz-meta-*`` …), ``conditions`` any further ones.
    """

    key: str = ""
    key_prefix: str | None = None
    length_range: tuple[int, int] | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    conditions: Sequence[Condition] = ()


def check_expires(seconds: int) -> int:
    """Return ``seconds`` where a URL may live that long; ConfigError otherwise."""
    if not 1 <= seconds <= MAX_EXPIRES:
        raise ConfigError(
            f"a presigned URL cannot live for {seconds} seconds",
            hint=f"between 1 second and 7 days ({MAX_EXPIRES} seconds)",
        )
    return seconds


def dies_early(credentials: Credentials, seconds: int, now: float) -> float | None:
    """Return when the credentials end if that is before a URL of ``seconds`` would, else None.

    A presigned URL dies with the credentials that signed it. The result is in seconds since the epoch.
    """
    ends = credentials.expires_at
    return ends if ends is not None and ends < now + seconds else None


def presign(
    request: Request, address: Address, credentials: Credentials, *, expires: int, now: float
) -> PresignedUrl:
    """Return the URL that makes ``request``, valid for ``expires`` seconds from ``now``.

    Any operation can be presigned. Its headers are signed, so they must be sent along; its body is not.

    Raises:
        ConfigError: ``expires`` is not between a second and seven days.
        UnsafeName: No URL can express the key.
    """
    check_expires(expires)
    date_time = amz_date(now)
    key, scope = signing_key(
        credentials.secret_key, date_time[:8], address.signing_region, address.signing_service
    )
    headers = {"host": address.authority, **request.headers}
    auth = [
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", f"{credentials.access_key}/{scope}"),
        ("X-Amz-Date", date_time),
        ("X-Amz-Expires", str(expires)),
        ("X-Amz-SignedHeaders", ";".join(sorted(headers.keys() - UNSIGNED_HEADERS))),
    ]
    if credentials.token:
        auth.append(("X-Amz-Security-Token", credentials.token))
    query = encode_query([*request.query, *auth])
    wire, canonical_path = address.path(request.key)
    canonical, _ = canonical_request(request.method, canonical_path, query, headers, UNSIGNED_PAYLOAD)
    signed = signature(canonical, date_time, key, scope)
    return PresignedUrl(
        request.method,
        f"{address.base_url}{wire}?{query}&X-Amz-Signature={signed}",
        {name: value for name, value in request.headers.items() if name not in UNSIGNED_HEADERS},
        dies_early(credentials, expires, now) or now + expires,
    )


def presign_post(
    policy: PostPolicy, bucket: str, address: Address, credentials: Credentials, *, expires: int, now: float
) -> PresignedPost:
    """Return the form that uploads into ``bucket`` as ``policy`` allows, for ``expires`` seconds.

    Raises:
        ConfigError: ``expires`` is out of range, or the policy names no key or an impossible size.
    """
    import base64
    import json
    import time

    check_expires(expires)
    date_time = amz_date(now)
    key, scope = signing_key(
        credentials.secret_key, date_time[:8], address.signing_region, address.signing_service
    )
    fields, conditions = _policy_conditions(policy, bucket)
    stamps = {
        "x-amz-algorithm": ALGORITHM,
        "x-amz-credential": f"{credentials.access_key}/{scope}",
        "x-amz-date": date_time,
    }
    if credentials.token:
        stamps["x-amz-security-token"] = credentials.token
    conditions.extend({name: value} for name, value in stamps.items())
    expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + expires))
    document = json.dumps({"expiration": expiration, "conditions": conditions})
    encoded = base64.b64encode(document.encode()).decode()
    signed = keyed_hash(key, encoded)
    wire, _ = address.path("")
    return PresignedPost(
        address.base_url + wire,
        {**fields, **stamps, "policy": encoded, "x-amz-signature": signed},
        dies_early(credentials, expires, now) or now + expires,
    )


def _policy_conditions(policy: PostPolicy, bucket: str) -> tuple[dict[str, str], list[Condition]]:
    fields = dict(policy.fields)
    conditions: list[Condition] = [{name: value} for name, value in fields.items()]
    conditions.extend(policy.conditions)
    if policy.length_range is not None:
        least, greatest = policy.length_range
        if not 0 <= least <= greatest:
            raise ConfigError(f"no size lies between {least} and {greatest} bytes")
        conditions.append(["content-length-range", least, greatest])
    conditions.append({"bucket": bucket})
    if policy.key_prefix is not None:
        fields["key"] = policy.key or policy.key_prefix + "${filename}"
        conditions.append(["starts-with", "$key", policy.key_prefix])
    elif policy.key.endswith("${filename}"):
        fields["key"] = policy.key
        conditions.append(["starts-with", "$key", policy.key.removesuffix("${filename}")])
    elif policy.key:
        fields["key"] = policy.key
        conditions.append({"key": policy.key})
    else:
        raise ConfigError("a POST policy needs a key or a prefix of keys")
    return fields, conditions
