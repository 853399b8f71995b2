"""Metadata that is refused, and for which reason."""

from __future__ import annotations

import base64
import json

import pytest
from tests.fs.encryption.sealed import Held, hold, plain

from haulyard.errors import ConfigError, S3IntegrityError
from haulyard.fs.encryption import check_own, is_sealed, own_metadata, plaintext_size
from haulyard.fs.encryption.envelope import ENVELOPE_KEYS

pytestmark = pytest.mark.anyio

_VERSION_2 = {
    "x-amz-key-v2": base64.b64encode(bytes(60)).decode(),
    "x-amz-iv": base64.b64encode(bytes(12)).decode(),
    "x-amz-cek-alg": "AES/GCM/NoPadding",
    "x-amz-wrap-alg": "AES/GCM",
    "x-amz-matdesc": "{}",
    "x-amz-tag-len": "128",
}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"x_amz_c": "112"}, "names the algorithm '112' instead of 115"),
        ({"x_amz_c": "AES/GCM/NoPadding"}, "names the algorithm 'AES/GCM/NoPadding' instead of 115"),
        ({"x_amz_w": "22"}, "wrapped by 'RSA-OAEP-SHA1', which is not supported"),
        ({"x_amz_w": "99"}, "wrapped by '99', which is not supported"),
        ({"x_amz_w": "12"}, "its data key was made for None, not for '115'"),
        ({"x_amz_d": "AAAA"}, "x-amz-d has 3 bytes instead of 28"),
        ({"x_amz_i": "not base64!"}, "x-amz-i is no base64"),
        ({"x_amz_m": "{"}, "x-amz-m is no JSON"),
        ({"x_amz_m": "[" * 2_000}, "x-amz-m is no JSON"),
        ({"x_amz_m": "[1]"}, "x-amz-m is no object of texts"),
        ({"x_amz_m": '{"a": "b"}'}, "it was written with another context (a)"),
        ({"x_amz_key_v2": "AAAA"}, "mixes the keys of several formats"),
        ({"x_amz_iv": "AAAA"}, "mixes the keys of several formats"),
        ({"x_amz_key": "AAAA"}, "mixes the keys of several formats"),
        ({"x_amz_crypto_instr_file": ""}, "it is an instruction file"),
    ],
)
async def test_metadata_that_was_changed_is_refused(changes: dict[str, str], reason: str) -> None:
    held = (await hold(b"content")).with_metadata(**changes)
    with pytest.raises(S3IntegrityError) as refused:
        await plain(held)
    assert str(refused.value).startswith("s3://bucket/dir/key is not decrypted: ")
    assert reason in str(refused.value)
    assert refused.value.hint
    assert (refused.value.bucket, refused.value.key) == ("bucket", "dir/key")


@pytest.mark.parametrize("name", ["x-amz-c", "x-amz-w", "x-amz-d", "x-amz-i"])
async def test_metadata_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(S3IntegrityError, match=f"{name} is missing"):
        await plain((await hold(b"content")).without(name))


async def test_a_data_key_in_an_instruction_file_is_refused_by_name() -> None:
    with pytest.raises(S3IntegrityError, match="it may be in an instruction file"):
        await plain((await hold(b"content")).without("x-amz-3", "x-amz-w", "x-amz-m"))


async def test_an_object_that_is_not_encrypted_is_refused() -> None:
    with pytest.raises(S3IntegrityError, match="it is not encrypted"):
        await plain(Held(b"put there by somebody else", {"author": "me"}))


async def test_a_format_that_verifies_nothing_is_refused_by_name() -> None:
    metadata = {"x-amz-key": "AAAA", "x-amz-iv": "AAAA", "x-amz-matdesc": "{}"}
    with pytest.raises(S3IntegrityError, match="AES-CBC"):
        await plain(Held(bytes(32), metadata | {"x-amz-unencrypted-content-length": "1"}))


async def test_a_format_without_commitment_is_refused_unless_allowed() -> None:
    with pytest.raises(S3IntegrityError, match="does not commit to a key") as refused:
        await plain(Held(bytes(32), _VERSION_2))
    assert "allow_uncommitted=True" in refused.value.hint


async def test_the_old_format_under_the_new_one_is_a_downgrade() -> None:
    held = (await hold(b"content")).without("x-amz-3", "x-amz-w", "x-amz-m")
    with pytest.raises(S3IntegrityError, match="mixes the keys of several formats"):
        await plain(held._replace(metadata={**held.metadata, **_VERSION_2}))


async def test_metadata_of_the_writers_own_is_told_apart() -> None:
    held = (await hold(b"content")).with_metadata(author="me")
    assert is_sealed(held.metadata)
    assert not is_sealed({"author": "me"})
    assert own_metadata(held.metadata) == {"author": "me"}
    assert held.metadata.keys() - {"author"} <= ENVELOPE_KEYS
    assert json.loads(held.metadata["x-amz-m"]) == {}


@pytest.mark.parametrize("name", sorted(ENVELOPE_KEYS | {"X-Amz-Key-V2"}))
def test_metadata_by_a_name_of_the_format_is_refused_beforehand(name: str) -> None:
    check_own({"author": "me", "x-amz-other": "x"})
    with pytest.raises(ConfigError, match="belongs to client-side encryption"):
        check_own({"author": "me", name: "x"})


async def test_the_size_is_that_of_the_plaintext() -> None:
    assert plaintext_size((await hold(b"content")).head) == 7
    assert plaintext_size((await hold(b"")).head) == 0
    assert plaintext_size(Held(b"content", {}).head) == 7
