"""What an error tells: what to do about it, and no secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard import errors
from haulyard.models import CopySource, DeleteItem, Encryption, GetOptions, PartInfo, PutOptions, Secret
from haulyard.s3.batch import delete_objects
from haulyard.s3.faults import _BY_CODE, _STATUS_CODES, error_from, key_error, transport_error
from haulyard.s3.listing import list_buckets, list_objects_v2
from haulyard.s3.multipart import complete_multipart_upload
from haulyard.s3.objects import (
    copy_object,
    delete_object,
    get_object,
    head_object,
    put_object,
    restore_object,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.s3.request import Request

GET = get_object("bkt", "a/k")
HEAD = head_object("bkt", "a/k")
PUT = put_object("bkt", "a/k", b"x")
LIST = list_objects_v2("bkt")
COPY = copy_object("bkt", "a/k", CopySource("src", "k"))
BATCH = delete_objects("bkt", [DeleteItem("k")])
COMPLETE = complete_multipart_upload("bkt", "a/k", "u", [PartInfo(1, "e")])
NO_HEADERS: Mapping[str, str] = {}


def xml(code: str, message: str = "Said so.", more: str = "") -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>".encode()


def refusal(request: Request, status: int, body: bytes = b"") -> errors.S3Error:
    return error_from(request, status, NO_HEADERS, body, 1)


def test_the_hint_names_the_region_where_the_store_does() -> None:
    by_header = error_from(GET, 301, {"x-amz-bucket-region": "eu-west-1"}, b"", 1)
    message = "the region &apos;us-east-1&apos; is wrong; expecting &apos;eu-west-1&apos;"
    by_body = error_from(GET, 400, NO_HEADERS, xml("AuthorizationHeaderMalformed", message), 1)
    for error in (by_header, by_body):
        assert error.hint == "the bucket lives in eu-west-1: set --region eu-west-1"
    odd = error_from(GET, 301, {"x-amz-bucket-region": "eu;rm -rf /"}, b"", 1)
    assert "rm" not in odd.hint


def test_a_bad_head_names_its_likely_causes() -> None:
    """Row "HEAD answered 400/403 without a body"."""
    hint = error_from(HEAD, 400, NO_HEADERS, b"", 1).hint
    assert "SSE-C" in hint
    assert "region" in hint


def test_an_archived_object_names_the_command_that_restores_it() -> None:
    """Row "InvalidObjectState (Glacier)"."""
    error = refusal(GET, 403, xml("InvalidObjectState", more="<StorageClass>GLACIER</StorageClass>"))
    assert isinstance(error, errors.S3ArchivedError)
    assert "`haul restore s3://bkt/a/k`" in error.hint
    copied = refusal(copy_object("bkt", "k", CopySource("src", "a b", "v")), 403, xml("InvalidObjectState"))
    assert "`haul restore s3://src/a b`" in copied.hint


def test_what_is_not_archived_cannot_be_restored() -> None:
    error = refusal(restore_object("bkt", "k"), 403, xml("InvalidObjectState"))
    assert isinstance(error, errors.S3GenericError)
    assert "haul restore" not in error.hint


@pytest.mark.parametrize(
    ("request_", "message", "action"),
    [
        (
            GET,
            "User: arn:aws:iam::1:user/x is not authorized to perform: kms:Decrypt on resource: {}",
            "kms:Decrypt",
        ),
        (PUT, "not authorized to perform: kms:GenerateDataKey on resource: {}", "kms:GenerateDataKey"),
        (GET, "The ciphertext refers to a customer master key {} kms: that does not exist", "kms:Decrypt"),
    ],
)
def test_a_denied_key_is_named_with_the_missing_action(request_: Request, message: str, action: str) -> None:
    """Row "KMS AccessDenied"."""
    key = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab"
    error = refusal(request_, 403, xml("AccessDenied", message.format(key)))
    assert isinstance(error, errors.S3PermissionError)
    assert key in error.hint
    assert action in error.hint


def test_a_denied_key_is_that_of_the_request_where_the_answer_does_not_say() -> None:
    """Row "KMS AccessDenied"."""
    options = PutOptions(encryption=Encryption("aws:kms", kms_key_id="my-key"))
    error = error_from(put_object("bkt", "k", b"", options), 400, NO_HEADERS, xml("KMS.DisabledException"), 1)
    assert isinstance(error, errors.S3PermissionError)
    assert "my-key" in error.hint
    assert "kms:GenerateDataKey" in error.hint


def test_a_denied_call_names_the_action_and_the_resource() -> None:
    error = refusal(PUT, 403, xml("AccessDenied", "Access Denied"))
    assert isinstance(error, errors.S3PermissionError)
    assert isinstance(error, errors.AccessDenied)
    assert "s3:PutObject on arn:aws:s3:::bkt/a/k" in error.hint
    said = (
        "User: x is not authorized to perform: s3:PutObjectTagging on resource: y because no policy allows it"
    )
    assert "allow s3:PutObjectTagging on" in refusal(PUT, 403, xml("AccessDenied", said)).hint
    assert "s3:ListAllMyBuckets" in refusal(list_buckets(), 403, xml("AccessDenied")).hint


@pytest.mark.parametrize("request_", [GET, HEAD])
def test_a_denied_read_may_be_of_a_missing_key(request_: Request) -> None:
    """Row "missing key without ListBucket permission"."""
    assert "s3:ListBucket" in refusal(request_, 403).hint


SIGNATURE_ERROR = xml(
    "SignatureDoesNotMatch",
    "The request signature we calculated does not match.",
    "<AWSAccessKeyId>AKIAEXAMPLE</AWSAccessKeyId><StringToSign>AWS4-HMAC-SHA256\nsecret-one</StringToSign>"
    "<SignatureProvided>secret-two</SignatureProvided><CanonicalRequest>GET\n/\n"
    "x-amz-security-token:secret-three</CanonicalRequest>",
)


def everything(error: errors.S3Error) -> str:
    return f"{error!s} {error!r} {vars(error)}"


def test_no_secret_of_an_answer_gets_into_an_error() -> None:
    """What SignatureDoesNotMatch echoes holds the session token."""
    text = everything(error_from(GET, 403, NO_HEADERS, SIGNATURE_ERROR, 1))
    assert "does not match" in text
    for secret in ("secret-one", "secret-two", "secret-three"):
        assert secret not in text


def test_no_key_that_a_store_echoes_gets_into_an_error() -> None:
    request = get_object(
        "bkt", "k", GetOptions(encryption=Encryption("SSE-C", customer_key=Secret(b"k" * 32)))
    )
    key = request.headers["x-amz-server-side-encryption-customer-key"]
    message = (
        f"bad key {key} in https://h/k?X-Amz-Signature=abc1&amp;X-Amz-Security-Token=abc2 Signature=abc3,"
        " x-amz-credential=abc4"
    )
    text = everything(error_from(request, 400, NO_HEADERS, xml("InvalidArgument", message), 1))
    text += everything(key_error(request, "k", "InvalidArgument", message))
    for secret in (key, "abc1", "abc2", "abc3", "abc4"):
        assert secret not in text


@given(st.text(max_size=400))
def test_a_message_is_one_printable_line(said: str) -> None:
    error = key_error(GET, "k\n\x1b[31m", "AccessDenied", said)
    assert error.message.isprintable()
    assert len(error.message) < 500


def test_the_url_of_a_lost_request_keeps_its_secrets() -> None:
    lost = errors.TransportError("for url (https://h/k?X-Amz-Signature=abc&x=y)")
    assert "abc" not in everything(transport_error(GET, lost, 1))


@pytest.mark.parametrize("code", [*_BY_CODE, "SomethingNew", "HTTP418"])
def test_every_error_has_a_hint(code: str) -> None:
    statuses = [status for status, name in _STATUS_CODES.items() if name == code] or [400]
    for request in (GET, HEAD, PUT, LIST, COPY, COMPLETE, BATCH, list_buckets(), delete_object("bkt", "k")):
        for status in (*statuses, 200, 404, 500):
            hint = error_from(request, status, NO_HEADERS, xml(code), 1).hint
            assert hint
            assert hint.isprintable()
        assert key_error(request, "k", code, "").hint
