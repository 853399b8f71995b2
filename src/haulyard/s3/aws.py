"""What goes through botocore: a bucket's settings, who the caller is, and the data keys of KMS.

These calls are few, and their shapes many; the two milliseconds that botocore takes for one do not matter
(docs/design.md has the measurement), its half second of import does: it is loaded by the first call.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from haulyard.errors import ConfigError, TransportError, Unsupported
from haulyard.models import Secret
from haulyard.s3.endpoint import EndpointConfig, resolve
from haulyard.s3.faults import error_from, transport_error
from haulyard.s3.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haulyard.errors import HaulError
    from haulyard.s3.credentials import Credentials

# Seconds; these calls stand between a person and an answer.
_CONNECT_TIMEOUT = 10
_READ_TIMEOUT = 30
_ATTEMPTS = 3

_KMS_REGION = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):")
# What S3 answers where a bucket has no such setting.
_UNSET = frozenset(
    {
        "NoSuchBucketPolicy",
        "NoSuchCORSConfiguration",
        "NoSuchLifecycleConfiguration",
        "OwnershipControlsNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
    }
)


#: What has rules of its own for a whole bucket, and how S3 names the call, its parameter and the rules in it.
BucketRules = Literal["lifecycle", "cors"]
_RULES: dict[BucketRules, tuple[str, str, str]] = {
    "lifecycle": ("LifecycleConfiguration", "LifecycleConfiguration", "Rules"),
    "cors": ("Cors", "CORSConfiguration", "CORSRules"),
}


class AwsTarget(NamedTuple):
    """Whom botocore talks to, and as whom; None signs nothing.

    ``endpoint.region`` should be the bucket's own where it is known. ``ca_bundle`` is a file of
    certificates, ``verify`` False accepts any certificate.
    """

    credentials: Credentials | None
    endpoint: EndpointConfig = EndpointConfig()
    ca_bundle: str = ""
    verify: bool = True


class CallerIdentity(NamedTuple):
    """Who signs: the account's number, the ARN of user or role, and its unique id."""

    account: str
    arn: str
    user_id: str


class KmsDataKey(NamedTuple):
    """A data key of KMS: in plain, and wrapped by the KMS key."""

    plain: Secret
    wrapped: bytes


class BucketEncryption(NamedTuple):
    """How a bucket encrypts what is written without a wish: ``algorithm`` ``""`` where it does not."""

    algorithm: str = ""
    kms_key_id: str = ""
    bucket_key: bool = False


class LifecycleRule(NamedTuple):
    """One rule of a bucket's lifecycle; days are None where the rule does not say.

    ``filtered`` is True where the rule has conditions (tags, sizes) beyond its prefix.
    """

    name: str
    enabled: bool
    prefix: str = ""
    filtered: bool = False
    abort_uploads_after_days: int | None = None
    expire_after_days: int | None = None
    expire_noncurrent_after_days: int | None = None
    transitions: tuple[str, ...] = ()


async def sts_get_caller_identity(target: AwsTarget, endpoint_url: str = "") -> CallerIdentity:
    """Return who the credentials belong to; no IAM permission is needed for it.

    ``endpoint_url`` is that of STS. Without it a custom S3 endpoint has none: its keys are not AWS's and
    must not be shown to AWS.

    Raises:
        Unsupported: The S3 endpoint is not AWS's, and no STS endpoint was given.
        S3Error: STS refused, or did not answer.
    """
    if target.endpoint.endpoint_url and not endpoint_url:
        raise Unsupported(
            "who the caller is cannot be asked: this endpoint is not AWS's",
            store="s3",
            operation="GetCallerIdentity",
            hint="set AWS_ENDPOINT_URL_STS if the store has an STS of its own",
        )
    request = Request("GetCallerIdentity", "POST")
    answer = await _call(target, "sts", request, endpoint_url=endpoint_url)
    return CallerIdentity(answer["Account"], answer["Arn"], answer["UserId"])


async def kms_generate_data_key(
    target: AwsTarget, key_id: str, context: Mapping[str, str], endpoint_url: str = ""
) -> KmsDataKey:
    """Return a new data key of 256 bits that ``context`` is bound to.

    ``endpoint_url`` is that of KMS. As with STS, a custom S3 endpoint has none of its own.

    Raises:
        Unsupported: The S3 endpoint is not AWS's, and no KMS endpoint was given.
        S3PermissionError: The caller may not use the key, or there is none of that name.
        S3Error: Any other refusal, or no answer.
    """
    answer = await _call_kms(
        target,
        Request("GenerateDataKey", "POST"),
        {"KeyId": key_id, "KeySpec": "AES_256", "EncryptionContext": dict(context)},
        endpoint_url,
    )
    return KmsDataKey(Secret(answer["Plaintext"]), answer["CiphertextBlob"])


async def kms_decrypt(
    target: AwsTarget, key_id: str, wrapped: bytes, context: Mapping[str, str], endpoint_url: str = ""
) -> Secret:
    """Return the data key that ``key_id`` wrapped with ``context``.

    Raises:
        S3IntegrityError: Another key or context wrapped it, or it was changed.
        S3Error: As `kms_generate_data_key`.
    """
    answer = await _call_kms(
        target,
        Request("Decrypt", "POST"),
        {"KeyId": key_id, "CiphertextBlob": wrapped, "EncryptionContext": dict(context)},
        endpoint_url,
    )
    return Secret(answer["Plaintext"])


async def _call_kms(
    target: AwsTarget, request: Request, parameters: dict[str, Any], endpoint_url: str
) -> dict[str, Any]:
    if target.endpoint.endpoint_url and not endpoint_url:
        raise Unsupported(
            "there is no KMS: this endpoint is not AWS's",
            store="s3",
            operation=request.operation,
            hint="set AWS_ENDPOINT_URL_KMS to the KMS that has the key",
        )
    region = _KMS_REGION.match(parameters["KeyId"])
    if region:
        # The key lives there, wherever the bucket may be.
        target = target._replace(endpoint=target.endpoint._replace(region=region[1]))
    return await _call(target, "kms", request, parameters, endpoint_url=endpoint_url)


async def get_bucket_versioning(target: AwsTarget, bucket: str) -> str:
    """Return ``Enabled``, ``Suspended``, or ``""`` for a bucket that never had versions."""
    answer = await _call(target, "s3", Request("GetBucketVersioning", "GET", bucket))
    return str(answer.get("Status", ""))


async def put_bucket_versioning(target: AwsTarget, bucket: str, *, enabled: bool) -> None:
    """Switch versions on, or suspend them; what versions there are stays."""
    await _call(
        target,
        "s3",
        Request("PutBucketVersioning", "PUT", bucket),
        {"VersioningConfiguration": {"Status": "Enabled" if enabled else "Suspended"}},
    )


async def get_bucket_encryption(target: AwsTarget, bucket: str) -> BucketEncryption:
    """Return the bucket's default encryption."""
    answer = await _call(target, "s3", Request("GetBucketEncryption", "GET", bucket))
    for rule in answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", ()):
        default = rule.get("ApplyServerSideEncryptionByDefault", {})
        return BucketEncryption(
            default.get("SSEAlgorithm", ""),
            default.get("KMSMasterKeyID", ""),
            bool(rule.get("BucketKeyEnabled", False)),
        )
    return BucketEncryption()


async def get_object_ownership(target: AwsTarget, bucket: str) -> str:
    """Return ``BucketOwnerEnforced`` (ACLs are disabled), another of S3's names, or ``""`` where unset."""
    answer = await _call(target, "s3", Request("GetBucketOwnershipControls", "GET", bucket))
    rules = answer.get("OwnershipControls", {}).get("Rules", ())
    return next((str(rule["ObjectOwnership"]) for rule in rules), "")


async def get_bucket_lifecycle(target: AwsTarget, bucket: str) -> tuple[LifecycleRule, ...]:
    """Return the rules of the bucket's lifecycle, in their order; none for a bucket without."""
    answer = await _call(target, "s3", Request("GetBucketLifecycleConfiguration", "GET", bucket))
    return tuple(_lifecycle_rule(rule) for rule in answer.get("Rules", ()))


async def get_rules(target: AwsTarget, bucket: str, kind: BucketRules) -> list[dict[str, Any]]:
    """Return the rules of a bucket as S3 names them (as boto3 does), in their order; none without any."""
    name, _, key = _RULES[kind]
    answer = await _call(target, "s3", Request(f"GetBucket{name}", "GET", bucket))
    return list(answer.get(key, ()))


async def put_rules(
    target: AwsTarget, bucket: str, kind: BucketRules, rules: Sequence[Mapping[str, Any]]
) -> None:
    """Replace the rules of a bucket; no rules remove them.

    Raises:
        ConfigError: A rule has not the shape that S3 gives it.
    """
    name, configuration, key = _RULES[kind]
    if not rules:
        await _call(target, "s3", Request(f"DeleteBucket{kind.title()}", "DELETE", bucket))
        return
    parameters = {configuration: {key: [dict(rule) for rule in rules]}}
    await _call(target, "s3", Request(f"PutBucket{name}", "PUT", bucket), parameters)


async def get_bucket_policy(target: AwsTarget, bucket: str) -> dict[str, Any]:
    """Return the policy of a bucket, empty where it has none."""
    answer = await _call(target, "s3", Request("GetBucketPolicy", "GET", bucket))
    policy: dict[str, Any] = json.loads(answer.get("Policy", "{}"))
    return policy


async def put_bucket_policy(target: AwsTarget, bucket: str, policy: Mapping[str, Any]) -> None:
    """Replace the policy of a bucket; an empty one removes it."""
    if not policy:
        await _call(target, "s3", Request("DeleteBucketPolicy", "DELETE", bucket))
        return
    text = json.dumps(dict(policy))
    await _call(target, "s3", Request("PutBucketPolicy", "PUT", bucket), {"Policy": text})


def _lifecycle_rule(rule: dict[str, Any]) -> LifecycleRule:
    conditions = rule.get("Filter", {})
    conditions = conditions.get("And", conditions)
    return LifecycleRule(
        name=rule.get("ID", ""),
        enabled=rule["Status"] == "Enabled",
        # "Prefix" outside of "Filter" is the form of old rules.
        prefix=conditions.get("Prefix", rule.get("Prefix", "")),
        filtered=bool(conditions.keys() - {"Prefix"}),
        abort_uploads_after_days=rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
        expire_after_days=rule.get("Expiration", {}).get("Days"),
        expire_noncurrent_after_days=rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"),
        transitions=tuple(each["StorageClass"] for each in rule.get("Transitions", ())),
    )


async def _call(
    target: AwsTarget,
    service: str,
    request: Request,
    parameters: dict[str, Any] | None = None,
    *,
    endpoint_url: str = "",
) -> dict[str, Any]:
    """Run one call in a thread; an empty answer where the bucket has no such setting."""
    from anyio import to_thread

    return await to_thread.run_sync(
        lambda: _call_blocking(target, service, request, parameters or {}, endpoint_url),
        # A write is awaited to its end: none may live on after its caller has gone.
        abandon_on_cancel=request.method not in {"PUT", "DELETE"},
    )


def _call_blocking(
    target: AwsTarget, service: str, request: Request, parameters: dict[str, Any], endpoint_url: str
) -> dict[str, Any]:
    from botocore import xform_name
    from botocore.exceptions import BotoCoreError, ClientError

    if request.bucket:
        # Refuses what our own calls refuse, before botocore sees it.
        resolve(target.endpoint, request.bucket)
        parameters = {"Bucket": request.bucket, **parameters}
    try:
        call = getattr(_client(target, service, endpoint_url), xform_name(request.operation))
        answer: dict[str, Any] = call(**parameters)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _UNSET:
            return {}
        raise _from_answer(request, error.response, service) from error
    except (BotoCoreError, ValueError) as error:
        raise _from_failure(request, error) from error
    return answer


@lru_cache(maxsize=8)
def _client(target: AwsTarget, service: str, endpoint_url: str) -> Any:  # noqa: ANN401 -- botocore makes its classes at run time
    """Return a client; botocore takes a tenth of a second to make one, and they are safe among threads."""
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.session import Session

    from haulyard._version import __version__

    endpoint, keys = target.endpoint, target.credentials
    url = endpoint_url or endpoint.endpoint_url
    address = resolve(EndpointConfig(url) if url else endpoint)
    options: dict[str, Any] = {
        "connect_timeout": _CONNECT_TIMEOUT,
        "read_timeout": _READ_TIMEOUT,
        "retries": {"total_max_attempts": _ATTEMPTS, "mode": "standard"},
        "s3": {"addressing_style": "path" if url and endpoint.addressing == "auto" else endpoint.addressing},
        "use_fips_endpoint": endpoint.fips,
        "use_dualstack_endpoint": endpoint.dualstack,
        # The endpoint has been decided on; botocore must not find another one.
        "ignore_configured_endpoint_urls": True,
        "user_agent_extra": f"haulyard/{__version__}",
    }
    if address.is_loopback:
        options["proxies"] = {}
    if keys is None:
        options["signature_version"] = UNSIGNED
    return Session().create_client(
        service,
        region_name=resolve(endpoint).signing_region,
        endpoint_url=url or None,
        verify=(target.ca_bundle or True) if target.verify else False,
        aws_access_key_id=keys.access_key if keys else None,
        aws_secret_access_key=keys.secret_key if keys else None,
        aws_session_token=(keys.token or None) if keys else None,
        config=Config(**options),
    )


def _from_answer(request: Request, response: dict[str, Any], service: str = "s3") -> HaulError:
    """Return our error of an answer, by the one table that all answers go through."""
    from xml.sax.saxutils import escape

    said, metadata = response.get("Error", {}), response.get("ResponseMetadata", {})
    code, message = str(said.get("Code", "")), str(said.get("Message", ""))
    if service == "kms":
        # As S3 names the same cases when it asks KMS itself.
        code = f"KMS.{code}"
    body = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    return error_from(
        request,
        metadata.get("HTTPStatusCode", 0),
        metadata.get("HTTPHeaders", {}),
        body.encode(),
        metadata.get("RetryAttempts", 0) + 1,
    )


def _from_failure(request: Request, error: Exception) -> HaulError:
    """Return our error of a call that got no answer."""
    from botocore import exceptions

    kinds = {
        exceptions.SSLError: ("tls", False),
        exceptions.ConnectTimeoutError: ("timeout", False),
        exceptions.ReadTimeoutError: ("timeout", True),
        exceptions.EndpointConnectionError: ("connect", False),
        exceptions.ProxyConnectionError: ("connect", False),
        exceptions.HTTPClientError: ("reset", True),
    }
    for cls, (kind, sent) in kinds.items():
        if isinstance(error, cls):
            return transport_error(request, TransportError(str(error), kind=kind, sent=sent), _ATTEMPTS)
    if isinstance(error, exceptions.ParamValidationError):
        return ConfigError(f"{request.operation}: {error}", hint="names and types are those of S3's API")
    return ConfigError(
        f"{request.operation}: {error}", hint="check the AWS settings: profile, region, endpoint"
    )
