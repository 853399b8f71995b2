"""What goes through botocore, against moto, and how its failures become ours."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import botocore.config
import botocore.session
import pytest
from botocore import exceptions
from moto.server import ThreadedMotoServer

from haulyard.errors import (
    ConfigError,
    S3CredentialsError,
    S3NetworkError,
    S3NotFound,
    S3PermissionError,
    S3RateLimit,
    Unsupported,
)
from haulyard.s3 import aws
from haulyard.s3.aws import AwsTarget, BucketEncryption, LifecycleRule
from haulyard.s3.credentials import Credentials
from haulyard.s3.endpoint import EndpointConfig
from haulyard.s3.request import Request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

pytestmark = pytest.mark.anyio

KEYS = Credentials("AKIDEXAMPLE", "secret")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def target(server: str, monkeypatch: pytest.MonkeyPatch) -> AwsTarget:
    # Neither the machine's proxy nor its own endpoints have a say.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    return AwsTarget(KEYS, EndpointConfig(server, "us-east-1"))


@pytest.fixture
def bucket(server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"bucket-{abs(hash(request.node.name))}"
    client = plain_client(server)
    client.create_bucket(Bucket=name)
    yield name
    client.delete_bucket(Bucket=name)


def plain_client(server: str) -> Any:
    return botocore.session.Session().create_client(
        "s3",
        "us-east-1",
        endpoint_url=server,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=botocore.config.Config(s3={"addressing_style": "path"}, proxies={}),
    )


async def test_versions_are_switched_on_and_suspended(target: AwsTarget, bucket: str) -> None:
    assert await aws.get_bucket_versioning(target, bucket) == ""
    await aws.put_bucket_versioning(target, bucket, enabled=True)
    assert await aws.get_bucket_versioning(target, bucket) == "Enabled"
    await aws.put_bucket_versioning(target, bucket, enabled=False)
    assert await aws.get_bucket_versioning(target, bucket) == "Suspended"


async def test_encryption_is_told(target: AwsTarget, bucket: str) -> None:
    plain_client(target.endpoint.endpoint_url).put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {
                        "SSEAlgorithm": "aws:kms",
                        "KMSMasterKeyID": "key-id",
                    },
                    "BucketKeyEnabled": True,
                }
            ]
        },
    )
    assert await aws.get_bucket_encryption(target, bucket) == BucketEncryption("aws:kms", "key-id", True)


async def test_a_setting_that_was_never_made_is_empty_and_no_error(target: AwsTarget, bucket: str) -> None:
    plain_client(target.endpoint.endpoint_url).delete_bucket_encryption(Bucket=bucket)
    assert await aws.get_bucket_encryption(target, bucket) == BucketEncryption()
    assert await aws.get_bucket_lifecycle(target, bucket) == ()
    assert await aws.get_object_ownership(target, bucket) == ""


async def test_object_ownership_is_told(target: AwsTarget, bucket: str) -> None:
    plain_client(target.endpoint.endpoint_url).put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    )
    assert await aws.get_object_ownership(target, bucket) == "BucketOwnerEnforced"


async def test_lifecycle_rules_are_told(target: AwsTarget, bucket: str) -> None:
    plain_client(target.endpoint.endpoint_url).put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "uploads",
                    "Status": "Enabled",
                    "Filter": {"Prefix": ""},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                },
                {
                    "ID": "cold",
                    "Status": "Disabled",
                    "Filter": {"And": {"Prefix": "logs/", "Tags": [{"Key": "k", "Value": "v"}]}},
                    "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}],
                    "Expiration": {"Days": 365},
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 5},
                },
            ]
        },
    )
    assert await aws.get_bucket_lifecycle(target, bucket) == (
        LifecycleRule("uploads", enabled=True, abort_uploads_after_days=7),
        LifecycleRule(
            "cold",
            enabled=False,
            prefix="logs/",
            filtered=True,
            expire_after_days=365,
            expire_noncurrent_after_days=5,
            transitions=("GLACIER",),
        ),
    )


async def test_the_caller_is_told_by_an_sts_that_was_named(target: AwsTarget) -> None:
    found = await aws.sts_get_caller_identity(target, target.endpoint.endpoint_url)
    assert found.account == "123456789012"
    assert found.arn.startswith("arn:aws:sts::123456789012:")
    assert found.user_id


async def test_keys_of_another_store_are_not_shown_to_aws(target: AwsTarget) -> None:
    with pytest.raises(Unsupported) as caught:
        await aws.sts_get_caller_identity(target)
    assert "AWS_ENDPOINT_URL_STS" in caught.value.hint


async def test_an_absent_bucket_is_not_found(target: AwsTarget) -> None:
    with pytest.raises(S3NotFound) as caught:
        await aws.get_bucket_versioning(target, "absent-bucket")
    error = caught.value
    assert (error.operation, error.bucket, error.code, error.status) == (
        "GetBucketVersioning",
        "absent-bucket",
        "NoSuchBucket",
        404,
    )


async def test_a_bucket_that_we_refuse_never_reaches_botocore(target: AwsTarget) -> None:
    with pytest.raises(ConfigError):
        await aws.get_bucket_versioning(target, "b--use1-az4--x-s3")


async def test_requests_can_be_unsigned(target: AwsTarget, bucket: str) -> None:
    assert await aws.get_bucket_versioning(target._replace(credentials=None), bucket) == ""


async def test_an_endpoint_that_does_not_listen_is_a_network_error() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(S3NetworkError) as caught:
            await aws.get_bucket_versioning(AwsTarget(KEYS, EndpointConfig(url)), "bucket")
    assert (caught.value.kind, caught.value.sent, caught.value.bucket) == ("connect", False, "bucket")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("error", "kind", "sent"),
    [
        (exceptions.SSLError(endpoint_url="https://h", error="bad certificate"), "tls", False),
        (exceptions.ConnectTimeoutError(endpoint_url="https://h"), "timeout", False),
        (exceptions.ReadTimeoutError(endpoint_url="https://h"), "timeout", True),
        (exceptions.ConnectionClosedError(endpoint_url="https://h"), "reset", True),
    ],
)
def test_each_failure_of_the_network_says_whether_the_request_was_sent(
    error: Exception, kind: str, *, sent: bool
) -> None:
    found = aws._from_failure(Request("PutBucketVersioning", "PUT", "bucket"), error)
    assert isinstance(found, S3NetworkError)
    assert (found.kind, found.sent) == (kind, sent)


def test_what_botocore_refuses_itself_is_a_setting() -> None:
    error = exceptions.ParamValidationError(report="wrong")
    assert isinstance(aws._from_failure(Request("GetBucketEncryption", "GET", "b"), error), ConfigError)


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("AccessDenied", 403, S3PermissionError),
        ("InvalidAccessKeyId", 403, S3CredentialsError),
        ("SlowDown", 503, S3RateLimit),
    ],
)
def test_an_answer_goes_through_the_table_of_all_answers(
    code: str, status: int, error: type[Exception]
) -> None:
    response = {
        "Error": {"Code": code, "Message": "a < b & c"},
        "ResponseMetadata": {
            "HTTPStatusCode": status,
            "HTTPHeaders": {"x-amz-request-id": "R1", "x-amz-id-2": "H1"},
            "RetryAttempts": 2,
        },
    }
    found = aws._from_answer(Request("GetBucketEncryption", "GET", "bucket"), response)
    assert type(found) is error
    assert isinstance(found, S3PermissionError | S3CredentialsError | S3RateLimit)
    assert (found.request_id, found.host_id, found.attempts) == ("R1", "H1", 3)
    assert "a < b & c" in str(found)
    if code == "AccessDenied":
        assert "s3:GetEncryptionConfiguration" in found.hint


def test_importing_it_does_not_load_botocore() -> None:
    code = "import haulyard.s3.aws, sys; print('botocore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
