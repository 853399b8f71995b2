"""Objects of the published S3 Encryption Client are read here, and ours there, through real servers."""

from __future__ import annotations

import io
import json
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.exceptions import S3EncryptionClientError
from s3_encryption.materials.encrypted_data_key import EncryptedDataKey
from s3_encryption.materials.keyring import S3Keyring
from s3_encryption.materials.kms_keyring import KmsKeyring
from s3_encryption.materials.materials import AlgorithmSuite, CommitmentPolicy

from haulyard.config import Settings
from haulyard.errors import S3IntegrityError, S3PermissionError, Unsupported
from haulyard.fs.encryption import ClientSideEncryption, Encrypter
from haulyard.models import PutOptions, Secret
from haulyard.s3.credentials import Credentials
from haulyard.stores.assemble import Connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.conftest import Server

pytestmark = pytest.mark.anyio

KEY = Secret(os.urandom(32))
CONTENT = os.urandom(600_000)
OLD = AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF


class LocalKeyring(S3Keyring):  # type: ignore[misc]  # published without types
    """A raw AES key in the published client, which has a keyring for KMS only but lets users bring others.

    As the clients of other languages do it: AES-GCM, authenticated with the number of the suite.
    """

    def on_encrypt(self, enc_materials: Any) -> Any:
        materials = super().on_encrypt(enc_materials)
        materials.plaintext_data_key = os.urandom(32)
        nonce = os.urandom(12)
        wrapped = AESGCM(KEY.reveal()).encrypt(nonce, materials.plaintext_data_key, b"115")
        materials.encrypted_data_key = EncryptedDataKey(b"S3Keyring", "AES/GCM", nonce + wrapped)
        return materials

    def on_decrypt(self, dec_materials: Any, encrypted_data_keys: Any = None) -> Any:
        materials = super().on_decrypt(dec_materials, encrypted_data_keys)
        found = (encrypted_data_keys or materials.encrypted_data_keys)[0]
        assert found.key_provider_info == "AES/GCM"
        assert materials.encryption_context_stored == materials.encryption_context_from_request
        wrapped = found.encrypted_data_key
        materials.plaintext_data_key = AESGCM(KEY.reveal()).decrypt(wrapped[:12], wrapped[12:], b"115")
        return materials


def boto(server: Server, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=server.endpoint_url,
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
    )


def published(server: Server, keyring: S3Keyring, **options: Any) -> Any:
    return S3EncryptionClient(boto(server, "s3"), S3EncryptionClientConfig(keyring, **options))


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[Connection]:
    settings = Settings(endpoint_url=server.endpoint_url, region=server.region, retries=3)
    async with Connection(settings, credentials=Credentials(server.access_key, server.secret_key)) as opened:
        yield opened


async def write(server: Server, bucket: str, content: bytes, wanted: ClientSideEncryption) -> None:
    async with connected(server) as connection:
        sealed = await Encrypter(wanted, connection).seal_bytes(content)
        await connection.bucket(bucket).put("key", sealed.body, PutOptions(metadata=sealed.metadata))


async def read(server: Server, bucket: str, wanted: ClientSideEncryption) -> bytes:
    async with connected(server) as connection:
        encrypter = Encrypter(wanted, connection)
        async with await connection.bucket(bucket).get("key") as reader:
            unsealed = encrypter.unseal(reader.head, reader.chunks(), bucket=bucket)
            return b"".join([piece async for piece in unsealed])


@pytest.fixture
def bucket(moto: Server, bucket_name: Callable[[], str]) -> str:
    name = bucket_name()
    boto(moto, "s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def flat_bucket(seaweedfs: Server, bucket_name: Callable[[], str]) -> str:
    name = bucket_name()
    boto(seaweedfs, "s3").create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="module")
def kms_key(moto: Server) -> str:
    return str(boto(moto, "kms").create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def with_kms(moto: Server, kms_key: str) -> ClientSideEncryption:
    return ClientSideEncryption(kms_key_id=kms_key, context={"team": "a"}, kms_endpoint_url=moto.endpoint_url)


def theirs(moto: Server, kms_key: str, **options: Any) -> Any:
    return published(moto, KmsKeyring(boto(moto, "kms"), kms_key), **options)


@pytest.mark.parametrize("size", [0, 17, len(CONTENT)])
async def test_with_kms_they_read_what_we_write(
    moto: Server, bucket: str, kms_key: str, with_kms: ClientSideEncryption, size: int
) -> None:
    await write(moto, bucket, CONTENT[:size], with_kms)
    found = theirs(moto, kms_key).get_object(Bucket=bucket, Key="key", EncryptionContext={"team": "a"})
    assert found["Body"].read() == CONTENT[:size]


@pytest.mark.parametrize("size", [0, 17, len(CONTENT)])
async def test_with_kms_we_read_what_they_write(
    moto: Server, bucket: str, kms_key: str, with_kms: ClientSideEncryption, size: int
) -> None:
    theirs(moto, kms_key).put_object(
        Bucket=bucket, Key="key", Body=CONTENT[:size], EncryptionContext={"team": "a"}
    )
    assert await read(moto, bucket, with_kms) == CONTENT[:size]


async def test_we_read_what_they_write_in_parts(
    moto: Server, bucket: str, kms_key: str, with_kms: ClientSideEncryption
) -> None:
    content = os.urandom(5 * 1024 * 1024 + 3)
    theirs(moto, kms_key).upload_fileobj(
        io.BytesIO(content), bucket, "key", 5 * 1024 * 1024, EncryptionContext={"team": "a"}
    )
    assert await read(moto, bucket, with_kms) == content


async def test_kms_binds_the_context(
    moto: Server, bucket: str, kms_key: str, with_kms: ClientSideEncryption
) -> None:
    await write(moto, bucket, b"content", with_kms)
    client = boto(moto, "s3")
    metadata = client.head_object(Bucket=bucket, Key="key")["Metadata"]
    forged = {**json.loads(metadata["x-amz-t"]), "team": "b"}
    client.copy_object(
        Bucket=bucket,
        Key="key",
        CopySource=f"{bucket}/key",
        MetadataDirective="REPLACE",
        Metadata={**metadata, "x-amz-t": json.dumps(forged)},
    )
    other = ClientSideEncryption(
        kms_key_id=kms_key, context={"team": "b"}, kms_endpoint_url=moto.endpoint_url
    )
    with pytest.raises(S3IntegrityError, match="another context"):
        await read(moto, bucket, with_kms)
    with pytest.raises(S3IntegrityError, match="KMS does not open its data key"):
        await read(moto, bucket, other)


async def test_without_commitment_we_read_what_they_write_only_if_asked(
    moto: Server, bucket: str, kms_key: str
) -> None:
    theirs(
        moto,
        kms_key,
        encryption_algorithm=OLD,
        commitment_policy=CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT,
    ).put_object(Bucket=bucket, Key="key", Body=CONTENT)
    asked = ClientSideEncryption(
        kms_key_id=kms_key, allow_uncommitted=True, kms_endpoint_url=moto.endpoint_url
    )
    plain = ClientSideEncryption(kms_key_id=kms_key, kms_endpoint_url=moto.endpoint_url)
    assert await read(moto, bucket, asked) == CONTENT
    with pytest.raises(S3IntegrityError, match="does not commit"):
        await read(moto, bucket, plain)


async def test_an_unknown_kms_key_is_said_to_be_missing(moto: Server, bucket: str) -> None:
    absent = ClientSideEncryption(
        kms_key_id="11111111-2222-3333-4444-555555555555", kms_endpoint_url=moto.endpoint_url
    )
    with pytest.raises(S3PermissionError, match="GenerateDataKey") as refused:
        await write(moto, bucket, b"content", absent)
    assert "kms:GenerateDataKey" in refused.value.hint


async def test_a_store_without_kms_says_where_to_name_one(moto: Server, bucket: str) -> None:
    with pytest.raises(Unsupported, match="there is no KMS") as refused:
        await write(moto, bucket, b"content", ClientSideEncryption(kms_key_id="alias/a"))
    assert "AWS_ENDPOINT_URL_KMS" in refused.value.hint


async def test_with_a_local_key_they_read_what_we_write(seaweedfs: Server, flat_bucket: str) -> None:
    await write(seaweedfs, flat_bucket, CONTENT, ClientSideEncryption(wrapping_key=KEY))
    found = published(seaweedfs, LocalKeyring()).get_object(Bucket=flat_bucket, Key="key")
    assert found["Body"].read() == CONTENT


async def test_with_a_local_key_we_read_what_they_write(seaweedfs: Server, flat_bucket: str) -> None:
    published(seaweedfs, LocalKeyring()).put_object(Bucket=flat_bucket, Key="key", Body=CONTENT)
    # Whatever the keyring says, it calls the wrapping that of KMS; clients of other languages do not.
    client = boto(seaweedfs, "s3")
    metadata = client.head_object(Bucket=flat_bucket, Key="key")["Metadata"]
    assert metadata["x-amz-w"] == "12"
    client.copy_object(
        Bucket=flat_bucket,
        Key="key",
        CopySource=f"{flat_bucket}/key",
        MetadataDirective="REPLACE",
        Metadata={**metadata, "x-amz-w": "02"},
    )
    assert await read(seaweedfs, flat_bucket, ClientSideEncryption(wrapping_key=KEY)) == CONTENT


async def test_what_they_refuse_we_refuse(seaweedfs: Server, flat_bucket: str) -> None:
    await write(seaweedfs, flat_bucket, b"content", ClientSideEncryption(wrapping_key=KEY))
    client = boto(seaweedfs, "s3")
    client.put_object(Bucket=flat_bucket, Key="key", Body=b"not encrypted")
    with pytest.raises(S3EncryptionClientError):
        published(seaweedfs, LocalKeyring()).get_object(Bucket=flat_bucket, Key="key")
    with pytest.raises(S3IntegrityError, match="it is not encrypted"):
        await read(seaweedfs, flat_bucket, ClientSideEncryption(wrapping_key=KEY))
