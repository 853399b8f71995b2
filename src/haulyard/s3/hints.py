"""What to do about each error of S3, in one line.

Signatures::

    hint_for(kind, request, code, headers, message) -> str
    network_hint(error_kind) -> str
    source_of(request) -> str
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from haulyard import errors
from haulyard.s3.actions import iam_actions, kms_actions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.s3.request import Request

# Texts, not compiled: `re` does so at the first error, and most commands end without one.
_NEEDED_ACTION = r"to perform: ((?:s3|kms|s3express|s3-object-lambda):[A-Za-z]{1,80})"
_EXPECTED_REGION = "expecting '([a-z0-9-]{1,63})'"
_KMS_KEY = r"arn:aws[a-z-]*:kms:[A-Za-z0-9-]*:[0-9]*:(?:key|alias)/[A-Za-z0-9/_-]{1,256}"
_KMS_HEADER = "x-amz-server-side-encryption-aws-kms-key-id"

_BAD_READ = (
    "it may be encrypted with SSE-C (give --sse-c-key-file), the session may have expired,"
    " or the bucket may live in another region: `haul doctor` finds out"
)

_BY_CODE = {
    "InvalidAccessKeyId": "this endpoint does not know the access key id: check the profile,"
    " AWS_ACCESS_KEY_ID and the endpoint",
    "SignatureDoesNotMatch": "the secret access key does not belong to the access key id, or a proxy changes"
    " requests: check AWS_SECRET_ACCESS_KEY and the profile",
    "InvalidToken": "the session token does not belong to the access key: log in again",
    "NoSuchBucket": "check the bucket's name and the endpoint; `haul mb` makes a bucket",
    "NoSuchUpload": "the multipart upload was completed or aborted: look whether the object is there,"
    " else start again",
    "NotS3": "what answered is no S3: check the endpoint, and whether a proxy stands before it",
    "NoSuchVersion": "list the versions that there are: `haul ls --all-versions`",
    "BucketNotEmpty": "`haul rb --force --yes` empties it first, all versions and uploads included",
    "BucketAlreadyExists": "bucket names are shared by all accounts: choose another name",
    "BucketAlreadyOwnedByYou": "the bucket is yours already: go on",
    "RestoreAlreadyInProgress": "the restore was asked for before: wait for it; `haul head` shows its state",
    "InvalidRange": "the object is shorter than the range: ask for its size first (`haul head`)",
    "EntityTooLarge": "one PUT or copy takes at most 5 GiB: send it in parts (smaller --part-size)",
    "EntityTooSmall": "all parts but the last need at least 5 MiB: raise --part-size",
    "InvalidPart": "a part is missing or was replaced: start the upload again",
    "InvalidPartOrder": "start the upload again",
    "KeyTooLongError": "a key has at most 1,024 bytes in UTF-8",
    "MetadataTooLarge": "metadata has at most 2 KB: keep longer texts in the object or in a second one",
    "AccessControlListNotSupported": "the bucket has ACLs disabled: leave --acl out",
    "InvalidStorageClass": "check --storage-class: this store does not have that class",
    "NotImplemented": "this store does not have that operation or option",
    "MethodNotAllowed": "this store does not allow that operation on this object or bucket",
    "InvalidBucketName": "a bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens",
    "IllegalLocationConstraintException": "make the bucket through the endpoint of its region: set --region",
    "TooManyBuckets": "delete a bucket or ask AWS for a higher quota",
    "InvalidTag": "a tag has a key of 1 to 128 and a value of up to 256 letters, digits, spaces and"
    " + - = . _ : / @",
    "InvalidObjectState": "it does not lie in an archive: read it as it is",
    "AccountProblem": "the account is suspended or limited: ask AWS's support",
    "AllAccessDisabled": "access to the bucket was disabled: ask its owner or AWS's support",
    "InvalidPayer": "the bucket lets the requester pay: add --request-payer",
}

_BY_CLASS: dict[type[errors.S3Error], str] = {
    errors.S3CredentialsError: "the credentials are wrong or have expired: log in again (`aws sso login`)"
    " or check the profile, then run the same command",
    errors.S3ClockError: "this machine's clock is more than 15 minutes off: set it (NTP), then run the same"
    " command",
    errors.S3NotFound: "check bucket and key, upper and lower case included; `haul ls` shows what there is",
    errors.S3PreconditionFailed: "the object is not as expected, somebody changed it meanwhile: look at it"
    " and run the command again",
    errors.S3Conflict: "somebody else changes the same thing at this moment: run the command again",
    errors.S3RateLimit: "the store asks for fewer requests: run it again later, or with lower --concurrency",
    errors.S3IntegrityError: "what arrived is not what was sent; nothing was stored: run the command again",
    errors.S3ServerError: "the store has a problem of its own: run the same command again later",
    errors.S3GenericError: "see S3's list of error codes for this one; `haul doctor` checks the whole way",
}

_NETWORK = {
    "dns": "the endpoint's name is not known: check --endpoint-url, the region and the network",
    "tls": "the server's certificate is not accepted: check --ca-bundle and the endpoint",
    "connect": "no connection: check --endpoint-url, the network and the firewall, then run the same command",
    "timeout": "no answer in time: check the network, then run the same command",
    "body": "the answer was cut short: run the same command again",
    "request": "the request could not be sent as it is: see the message",
}


def source_of(request: Request) -> str:
    """Return what a call reads: the object itself, or the source of a copy."""
    copied = request.headers.get("x-amz-copy-source", "")
    if not copied:
        return f"s3://{request.bucket}/{request.key}" if request.key else f"s3://{request.bucket}"
    # Not at the top: only errors of copies need it.
    from urllib.parse import unquote

    return f"s3://{unquote(copied.partition('?')[0])}"


def network_hint(kind: str) -> str:
    """Return what to do about a transport error of that kind."""
    return _NETWORK.get(kind, "the connection broke: check the network, then run the same command")


def hint_for(
    kind: type[errors.S3Error], request: Request, code: str, headers: Mapping[str, str], message: str
) -> str:
    """Return what to do about an error of that class; never empty.

    ``message`` is the store's own text, of which only names of actions and KMS keys are used.
    """
    hint = ""
    if issubclass(kind, errors.S3PermissionError) and code not in _BY_CODE:
        hint = _denied(request, code, headers, message)
    elif issubclass(kind, errors.S3ArchivedError):
        hint = f"run `haul restore {source_of(request)}`, and read it once it is restored"
    elif issubclass(kind, errors.S3RegionError):
        hint = _elsewhere(headers, message)
    elif issubclass(kind, errors.S3NotFound) and headers.get("x-amz-delete-marker") == "true":
        hint = "a delete marker hides it: `haul ls --all-versions` shows the versions that can still be read"
    elif issubclass(kind, errors.S3PreconditionFailed) and "if-none-match" in request.headers:
        hint = _exists_already(request)
    elif code in {"BadRequest", "InvalidRequest"} and request.operation in {"HeadObject", "GetObject"}:
        hint = _BAD_READ
    return hint or _BY_CODE.get(code) or _BY_CLASS[kind]


def _elsewhere(headers: Mapping[str, str], message: str) -> str:
    stated = re.search(_EXPECTED_REGION, message)
    region = headers.get("x-amz-bucket-region", "") or (stated[1] if stated else "")
    if region.isascii() and region.replace("-", "").isalnum():
        return f"the bucket lives in {region}: set --region {region}"
    return "the bucket lives in another region or behind another endpoint: set --region or --endpoint-url"


def _exists_already(request: Request) -> str:
    if request.method in {"GET", "HEAD"}:
        return "it has not changed since it was read last"
    return "the object exists already and was left as it is: allow overwriting or choose another key"


def _denied(request: Request, code: str, headers: Mapping[str, str], message: str) -> str:
    if "kms" in code.lower() or "kms:" in message:
        return _denied_by_kms(request, headers, message)
    named = re.search(_NEEDED_ACTION, message)
    actions = named[1] if named else " and ".join(iam_actions(request)) or "the call"
    where = f"arn:aws:s3:::{request.bucket}" if request.bucket and ":" not in request.bucket else ""
    target = f"{where}/{request.key}" if where and request.key else where
    hint = f"allow {actions}{f' on {target}' if target else ''} in the IAM and bucket policies"
    if request.operation in {"GetObject", "HeadObject"}:
        hint += "; if the key does not exist, s3:ListBucket would let S3 say so"
    return hint


def _denied_by_kms(request: Request, headers: Mapping[str, str], message: str) -> str:
    named = re.search(_NEEDED_ACTION, message)
    action = named[1] if named and named[1].startswith("kms:") else " and ".join(kms_actions(request))
    found = re.search(_KMS_KEY, message)
    key = found[0] if found else request.headers.get(_KMS_HEADER, "") or headers.get(_KMS_HEADER, "")
    return (
        f"allow {action} on the KMS key {key or 'of the object'} (IAM and key policies), and keep it enabled"
    )
