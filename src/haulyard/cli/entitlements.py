"""The checks of `haul doctor` that need the store itself: the bucket, what is allowed, what is honoured."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from haulyard.cli import exits
from haulyard.cli.findings import Finding, State, failure
from haulyard.cli.surroundings import within
from haulyard.errors import AccessDenied, HaulError, S3CredentialsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from haulyard.stores.access import Probe
    from haulyard.stores.base import Capabilities
    from haulyard.stores.diagnosis import Examination
    from haulyard.url import S3Url

Result = TypeVar("Result")

#: Seconds for a single call with its retries, and for a few dozen of them.
_CALL_PATIENCE: Final = 15.0
_SERIES_PATIENCE: Final = 60.0
#: Seconds more in which a series that ran out of time may remove what it wrote.
_CLEANING_PATIENCE: Final = 10.0

_REDIRECTS: Final = frozenset((301, 302, 307, 308))
_ACTION_WIDTH: Final = 31
_BUCKET_ACTIONS: Final = frozenset(
    ("s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads")
)
_STATES: Final[dict[str, State]] = {
    "ok": "ok",
    "denied": "denied",
    "unsupported": "no",
    "error": "failed",
    "unknown": "unknown",
}


class _Ability(NamedTuple):
    """One of `Capabilities`: its name for people, and what its absence or presence means."""

    name: str
    present: str
    absent: str


_ABILITIES: Final = {
    "conditional_put": _Ability(
        "conditional writes",
        "If-Match and If-None-Match hold on PUT",
        "--no-clobber can only look before it writes: a second writer may come in between",
    ),
    "conditional_copy": _Ability(
        "conditional copies",
        "If-Match and If-None-Match hold on copies",
        "an object that is replaced while it is copied may go unnoticed",
    ),
    "conditional_delete": _Ability(
        "conditional deletes",
        "If-Match holds on DELETE",
        "mv looks at its source once more right before it deletes it",
    ),
    "conditional_batch_delete": _Ability(
        "conditional batches",
        "If-Match holds for each key of a batch delete",
        "keys with a condition are deleted one by one",
    ),
    "checksums": _Ability(
        "checksums",
        "wrong content is refused, and checksums are told",
        "the store does not verify what it receives",
    ),
    "ordered_listing": _Ability(
        "ordered listings",
        "in UTF-8 byte order: sync merges them as they come",
        "sync compares on disk instead, with the same result",
    ),
}


async def check_bucket(examination: Examination, url: S3Url) -> list[Finding]:
    """Ask whether the bucket is there, in which region, and how it is addressed."""
    found = [await _existence(examination, url.bucket)]
    if found[0].is_failure:
        return found
    try:
        exchange = await within(_CALL_PATIENCE, examination.exchange(url.bucket))
    except (HaulError, OSError) as error:
        return [*found, failure("bucket", "region", error)]
    address = examination.connection.signer.address(url.bucket)
    style = "in the host name" if address.virtual else "in the path"
    redirected = f", redirected ({exchange.status})" if exchange.status in _REDIRECTS else ""
    return [
        *found,
        _region(examination, url.bucket, exchange.region or examination.learned_region(url.bucket)),
        Finding("bucket", "addressing", "ok", f"{style}: {address.base_url}{redirected}"),
    ]


async def check_buckets(examination: Examination) -> Finding:
    """Ask for the list of buckets: which keys are refused shows here."""
    more = {"action": "s3:ListAllMyBuckets"}
    try:
        parsed = await within(_CALL_PATIENCE, examination.connection.client.list_buckets())
    except S3CredentialsError as error:
        return failure("permissions", "ListBuckets", error)
    except AccessDenied:
        hint = "only `haul ls` without a URL needs it; name a bucket to check the rest"
        return Finding(
            "permissions", "ListBuckets", "warning", "denied: s3:ListAllMyBuckets", hint, more=more
        )
    except (HaulError, OSError) as error:
        return failure("permissions", "ListBuckets", error)
    number = len(parsed.page)
    count = f"{number} bucket{'' if number == 1 else 's'}{' and more' if parsed.is_truncated else ''}"
    return Finding("permissions", "ListBuckets", "ok", count, more=more)


async def check_permissions(
    examination: Examination, url: S3Url, below: str, *, read_only: bool
) -> list[Finding]:
    """Try every call that the commands make."""
    try:
        probes = await _bounded_series(examination.permissions(url.bucket, below, read_only=read_only))
    except (HaulError, OSError) as error:
        return [failure("permissions", "every call", error)]
    return [_of_probe(probe, url.bucket, below) for probe in probes]


async def check_capabilities(
    examination: Examination, url: S3Url, below: str, *, may_write: bool
) -> list[Finding]:
    """Prove what the endpoint honours, and remember it; without ``may_write`` tell what is remembered."""
    try:
        known = await _bounded_series(examination.capabilities(url.bucket, below, may_write=may_write))
    except (HaulError, OSError) as error:
        return [failure("capabilities", "proof", error)]
    if examination.settings.endpoint_url:
        return describe_capabilities(known, "" if may_write else "as remembered")
    return describe_capabilities(known, "as on all of AWS")


def describe_capabilities(known: Capabilities, how: str = "") -> list[Finding]:
    """Return what a store honours, and what it means where it does not; ``how`` is how that is known."""
    found = []
    for field, ability in _ABILITIES.items():
        value: bool | None = getattr(known, field)
        more = {"capability": field, "value": value}
        if value is None:
            detail = "not proved: haul takes the cautious way"
            found.append(Finding("capabilities", ability.name, "unknown", detail, more=more))
            continue
        detail = f"{ability.present if value else ability.absent}{f' ({how})' if how else ''}"
        found.append(Finding("capabilities", ability.name, "ok" if value else "no", detail, more=more))
    return found


def can_write(findings: Sequence[Finding]) -> bool:
    """Say whether ``findings`` show that objects can be written and removed again."""
    allowed = {each.name for each in findings if each.state == "ok"}
    return {"PutObject", "DeleteObject", "DeleteObjects"} <= allowed


async def _existence(examination: Examination, bucket: str) -> Finding:
    try:
        await within(_CALL_PATIENCE, examination.connection.client.head_bucket(bucket))
    except AccessDenied:
        return Finding("bucket", bucket, "unknown", "HeadBucket is denied: the permissions say more")
    except (HaulError, OSError) as error:
        return failure("bucket", bucket, error)
    return Finding("bucket", bucket, "ok", "is there, and may be listed")


def _region(examination: Examination, bucket: str, region: str) -> Finding:
    asked = examination.settings.region or "us-east-1"
    more = {"region": region}
    if not region:
        return Finding("bucket", "region", "ok", f"the store names none; {asked} is signed for")
    if region == asked or examination.settings.endpoint_url:
        return Finding("bucket", "region", "ok", region, more=more)
    detail = f"{bucket} lives in {region}, and {asked} is asked first"
    return Finding(
        "bucket", "region", "warning", detail, f"set --region {region}: it saves a redirect", more=more
    )


def _of_probe(probe: Probe, bucket: str, below: str) -> Finding:
    state = _STATES[probe.outcome]
    detail = f"{probe.action:{_ACTION_WIDTH}}{' '.join(probe.commands)}"
    more: dict[str, object] = {"action": probe.action, "commands": list(probe.commands)}
    if probe.detail:
        more["said"] = probe.detail
    if state == "denied":
        missing = _missing(probe, bucket, below)
        forbids = "; a policy denies it explicitly" if "explicit deny" in probe.detail else ""
        more["missing"] = missing
        hint = f"allow {missing}{forbids}"
        return Finding("permissions", probe.operation, state, detail, hint, exits.DENIED, more)
    code = exits.FAILED if state == "failed" else exits.OK
    return Finding("permissions", probe.operation, state, detail, probe.detail, code, more)


def _missing(probe: Probe, bucket: str, below: str) -> str:
    """Return the IAM action that is missing, and what it is missing on."""
    # A bucket encrypted with a KMS key denies PutObject for want of an action on the key.
    kms = re.search(r"to perform: (kms:[A-Za-z]{1,80})", probe.detail)
    if kms:
        key = re.search(r"arn:aws[a-z-]*:kms:[A-Za-z0-9:/_-]{1,300}", probe.detail)
        return f"{kms[1]} on {key[0] if key else 'the KMS key of the bucket'}"
    name = bucket if bucket.startswith("arn:") else f"arn:aws:s3:::{bucket}"
    if probe.action in _BUCKET_ACTIONS:
        return f"{probe.action} on {name}"
    return f"{probe.action} on {name}/{'object/' if bucket.startswith('arn:') else ''}{below}*"


async def _bounded_series(work: Awaitable[Result]) -> Result:
    """Return what many calls come to; once they run out of time, cleaning up is bounded too."""
    return await within(_SERIES_PATIENCE + _CLEANING_PATIENCE, within(_SERIES_PATIENCE, work))
