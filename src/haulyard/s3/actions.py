"""Which IAM actions a call needs, from "Required permissions for Amazon S3 API operations".

Signatures::

    iam_actions(request) -> tuple[str, ...]
    kms_actions(request) -> tuple[str, ...]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from haulyard.s3.request import Request

_COPY = ("s3:GetObject on the source", "s3:PutObject on the destination")

_ACTIONS: dict[str, tuple[str, ...]] = {
    "GetObject": ("s3:GetObject",),
    "HeadObject": ("s3:GetObject",),
    "GetObjectAttributes": ("s3:GetObject", "s3:GetObjectAttributes"),
    "PutObject": ("s3:PutObject",),
    "CopyObject": _COPY,
    "DeleteObject": ("s3:DeleteObject",),
    "DeleteObjects": ("s3:DeleteObject",),
    "RestoreObject": ("s3:RestoreObject",),
    "GetObjectAcl": ("s3:GetObjectAcl",),
    "PutObjectAcl": ("s3:PutObjectAcl",),
    "GetObjectTagging": ("s3:GetObjectTagging",),
    "PutObjectTagging": ("s3:PutObjectTagging",),
    "DeleteObjectTagging": ("s3:DeleteObjectTagging",),
    "CreateMultipartUpload": ("s3:PutObject",),
    "UploadPart": ("s3:PutObject",),
    "UploadPartCopy": _COPY,
    "CompleteMultipartUpload": ("s3:PutObject",),
    "AbortMultipartUpload": ("s3:AbortMultipartUpload",),
    "ListParts": ("s3:ListMultipartUploadParts",),
    "ListMultipartUploads": ("s3:ListBucketMultipartUploads",),
    "ListObjectsV2": ("s3:ListBucket",),
    "ListObjectVersions": ("s3:ListBucketVersions",),
    "ListBuckets": ("s3:ListAllMyBuckets",),
    "CreateBucket": ("s3:CreateBucket",),
    "DeleteBucket": ("s3:DeleteBucket",),
    "HeadBucket": ("s3:ListBucket",),
    "GetBucketLocation": ("s3:GetBucketLocation",),
    "GetBucketVersioning": ("s3:GetBucketVersioning",),
    "PutBucketVersioning": ("s3:PutBucketVersioning",),
    "GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "GetBucketOwnershipControls": ("s3:GetBucketOwnershipControls",),
    "GetBucketLifecycleConfiguration": ("s3:GetLifecycleConfiguration",),
}

# The forms for a version that is named.
_OF_VERSION = {
    "s3:GetObject": "s3:GetObjectVersion",
    "s3:GetObjectAttributes": "s3:GetObjectVersionAttributes",
    "s3:DeleteObject": "s3:DeleteObjectVersion",
    "s3:GetObjectAcl": "s3:GetObjectVersionAcl",
    "s3:PutObjectAcl": "s3:PutObjectVersionAcl",
    "s3:GetObjectTagging": "s3:GetObjectVersionTagging",
    "s3:PutObjectTagging": "s3:PutObjectVersionTagging",
    "s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
}

_READS = frozenset({"GetObject", "HeadObject", "GetObjectAttributes"})
_IN_PARTS = frozenset({"CreateMultipartUpload", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload"})


def iam_actions(request: Request) -> tuple[str, ...]:
    """Return the IAM actions that a call needs, with those that its version, tags, ACL and conditions add."""
    actions = _ACTIONS.get(request.operation, ())
    names_versions = isinstance(request.body, bytes) and b"<VersionId>" in request.body
    if (request.operation == "DeleteObjects" and names_versions) or any(
        name == "versionId" for name, _ in request.query
    ):
        actions = tuple(_OF_VERSION.get(action, action) for action in actions)
    headers = request.headers
    if "versionId=" in headers.get("x-amz-copy-source", ""):
        actions = tuple(action.replace("GetObject on", "GetObjectVersion on") for action in actions)
    if request.method in {"PUT", "POST"}:
        if "x-amz-tagging" in headers:
            actions += ("s3:PutObjectTagging",)
        if request.operation != "PutObjectAcl" and any(
            name == "x-amz-acl" or name.startswith("x-amz-grant-") for name in headers
        ):
            actions += ("s3:PutObjectAcl",)
    if "if-match" in headers and request.method != "GET" and "s3:GetObject" not in actions:
        actions += ("s3:GetObject",)
    if "x-amz-bypass-governance-retention" in headers:
        actions += ("s3:BypassGovernanceRetention",)
    return actions


def kms_actions(request: Request) -> tuple[str, ...]:
    """Return the actions on the KMS key that a call on an object encrypted with it needs."""
    if request.operation in _READS:
        return ("kms:Decrypt",)
    if request.operation in _IN_PARTS or request.operation == "CopyObject":
        return ("kms:GenerateDataKey", "kms:Decrypt")
    return ("kms:GenerateDataKey",)
