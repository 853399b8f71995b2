"""Data keys of KMS, from moto: where the key lives, and which endpoint is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from haulyard.config import Settings
from haulyard.errors import S3IntegrityError, S3PermissionError, Unsupported
from haulyard.s3.credentials import Credentials
from haulyard.stores.assemble import Connection
from haulyard.stores.kms import Kms

if TYPE_CHECKING:
    from tests.conftest import Server

pytestmark = pytest.mark.anyio

ELSEWHERE = "eu-central-1"
CONTEXT = {"tenant": "7"}


@pytest.fixture(scope="module")
def key(moto: Server) -> dict[str, Any]:
    client = boto3.client(
        "kms",
        endpoint_url=moto.endpoint_url,
        region_name=ELSEWHERE,
        aws_access_key_id=moto.access_key,
        aws_secret_access_key=moto.secret_key,
    )
    return dict(client.create_key()["KeyMetadata"])


def connection(moto: Server, **environment: str) -> Connection:
    settings = replace(
        Settings(endpoint_url=moto.endpoint_url, region=moto.region), environment={"HOME": "/", **environment}
    )
    return Connection(settings, credentials=Credentials(moto.access_key, moto.secret_key))


async def test_a_data_key_comes_back_with_its_context_only(moto: Server, key: dict[str, Any]) -> None:
    kms = Kms(connection(moto), moto.endpoint_url)
    made = await kms.generate_data_key(key["Arn"], CONTEXT)
    assert len(made.plain.reveal()) == 32
    assert await kms.decrypt(key["Arn"], made.wrapped, CONTEXT) == made.plain
    for wrapped, context in ((made.wrapped, {"tenant": "8"}), (made.wrapped[:-1] + b"?", CONTEXT)):
        with pytest.raises(S3IntegrityError):
            await kms.decrypt(key["Arn"], wrapped, context)


async def test_a_key_is_asked_for_in_the_region_of_its_arn(moto: Server, key: dict[str, Any]) -> None:
    kms = Kms(connection(moto), moto.endpoint_url)
    await kms.generate_data_key(key["Arn"], CONTEXT)
    with pytest.raises(S3PermissionError, match="GenerateDataKey"):
        await kms.generate_data_key(key["KeyId"], CONTEXT)


async def test_the_environment_says_where_kms_is(moto: Server, key: dict[str, Any]) -> None:
    kms = Kms(connection(moto, AWS_ENDPOINT_URL_KMS=moto.endpoint_url))
    assert (await kms.generate_data_key(key["Arn"], CONTEXT)).wrapped


async def test_a_store_of_its_own_has_no_kms(moto: Server, key: dict[str, Any]) -> None:
    with pytest.raises(Unsupported, match="there is no KMS"):
        await Kms(connection(moto)).generate_data_key(key["Arn"], CONTEXT)


async def test_data_keys_are_not_printed(moto: Server, key: dict[str, Any]) -> None:
    made = await Kms(connection(moto), moto.endpoint_url).generate_data_key(key["Arn"], CONTEXT)
    assert repr(made.plain.reveal()) not in repr(made)
