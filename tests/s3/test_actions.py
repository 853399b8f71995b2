"""Which IAM actions a call needs, as the "Security" section of the behaviour notes lists them."""

from __future__ import annotations

import pytest

from haulyard.models import (
    CopyOptions,
    CopySource,
    DeleteItem,
    DeleteOptions,
    Encryption,
    GetOptions,
    PartInfo,
    PutOptions,
)
from haulyard.s3 import acl, attributes, batch, buckets, listing, multipart, objects, tagging
from haulyard.s3.actions import iam_actions, kms_actions
from haulyard.s3.request import Request

READ_AND_WRITE = ("s3:GetObject on the source", "s3:PutObject on the destination")


@pytest.mark.parametrize(
    ("request_", "actions"),
    [
        (objects.get_object("b", "k"), ("s3:GetObject",)),
        (objects.head_object("b", "k", GetOptions(version_id="v")), ("s3:GetObjectVersion",)),
        (attributes.get_object_attributes("b", "k"), ("s3:GetObject", "s3:GetObjectAttributes")),
        (objects.put_object("b", "k", b""), ("s3:PutObject",)),
        (
            objects.put_object("b", "k", b"", PutOptions(tags={"a": "b"})),
            ("s3:PutObject", "s3:PutObjectTagging"),
        ),
        (objects.put_object("b", "k", b"", PutOptions(acl="private")), ("s3:PutObject", "s3:PutObjectAcl")),
        (objects.put_object("b", "k", b"", PutOptions(if_match="e")), ("s3:PutObject", "s3:GetObject")),
        (objects.copy_object("b", "k", CopySource("s", "k")), READ_AND_WRITE),
        (
            objects.copy_object("b", "k", CopySource("s", "k", "v"), CopyOptions()),
            ("s3:GetObjectVersion on the source", "s3:PutObject on the destination"),
        ),
        (objects.delete_object("b", "k"), ("s3:DeleteObject",)),
        (objects.delete_object("b", "k", DeleteOptions("v")), ("s3:DeleteObjectVersion",)),
        (objects.delete_object("b", "k", DeleteOptions(if_match="e")), ("s3:DeleteObject", "s3:GetObject")),
        (
            objects.delete_object("b", "k", DeleteOptions("v", bypass_governance=True)),
            ("s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"),
        ),
        (batch.delete_objects("b", [DeleteItem("k")]), ("s3:DeleteObject",)),
        (batch.delete_objects("b", [DeleteItem("k", "v")]), ("s3:DeleteObjectVersion",)),
        (objects.restore_object("b", "k"), ("s3:RestoreObject",)),
        (acl.put_object_acl("b", "k", "private", "v"), ("s3:PutObjectVersionAcl",)),
        (tagging.get_object_tagging("b", "k", "v"), ("s3:GetObjectVersionTagging",)),
        (multipart.create_multipart_upload("b", "k"), ("s3:PutObject",)),
        (multipart.upload_part_copy("b", "k", "u", 1, CopySource("s", "k")), READ_AND_WRITE),
        (multipart.complete_multipart_upload("b", "k", "u", [PartInfo(1, "e")]), ("s3:PutObject",)),
        (multipart.abort_multipart_upload("b", "k", "u"), ("s3:AbortMultipartUpload",)),
        (multipart.list_parts("b", "k", "u"), ("s3:ListMultipartUploadParts",)),
        (listing.list_multipart_uploads("b"), ("s3:ListBucketMultipartUploads",)),
        (listing.list_objects_v2("b"), ("s3:ListBucket",)),
        (listing.list_object_versions("b"), ("s3:ListBucketVersions",)),
        (listing.list_buckets(), ("s3:ListAllMyBuckets",)),
        (buckets.head_bucket("b"), ("s3:ListBucket",)),
        (buckets.create_bucket("b"), ("s3:CreateBucket",)),
        (buckets.get_bucket_location("b"), ("s3:GetBucketLocation",)),
        (Request("SomethingElse", "GET"), ()),
    ],
)
def test_every_call_names_what_it_needs(request_: Request, actions: tuple[str, ...]) -> None:
    assert iam_actions(request_) == actions


def test_the_key_of_kms_needs_actions_too() -> None:
    kms = PutOptions(encryption=Encryption("aws:kms"))
    assert kms_actions(objects.get_object("b", "k")) == ("kms:Decrypt",)
    assert kms_actions(objects.put_object("b", "k", b"", kms)) == ("kms:GenerateDataKey",)
    assert kms_actions(multipart.create_multipart_upload("b", "k", kms)) == (
        "kms:GenerateDataKey",
        "kms:Decrypt",
    )
