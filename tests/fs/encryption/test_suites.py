"""The arithmetic of the suites, against the published client's and against AES-GCM itself."""

from __future__ import annotations

import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from s3_encryption.key_derivation import derive_keys
from s3_encryption.materials.materials import AlgorithmSuite

from haulyard.fs.encryption.suites import ContentKey, Opening, Sealing, committing, decrypt_at

KEY = ContentKey(os.urandom(32), b"\x01" * 12, b"\x00\x73")


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=28, max_size=28))
def test_both_keys_are_those_of_the_published_client(data_key: bytes, message_id: bytes) -> None:
    suite = AlgorithmSuite.ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY
    derived = committing(data_key, message_id)
    assert (derived.content_key.key, derived.value) == derive_keys(data_key, message_id, suite)
    assert derived.content_key.nonce == suite.kc_gcm_iv


@given(st.lists(st.binary(max_size=100), max_size=8))
def test_pieces_are_encrypted_as_the_whole_is(pieces: list[bytes]) -> None:
    sealing, opening = Sealing(KEY), Opening(KEY)
    ciphertext = [sealing.update(piece) for piece in pieces]
    tag = sealing.finish()
    whole = AESGCM(KEY.key).encrypt(KEY.nonce, b"".join(pieces), KEY.associated)
    assert b"".join(ciphertext) + tag == whole
    assert [opening.update(piece) for piece in ciphertext] == pieces
    assert opening.verify(tag)


@given(st.integers(0, 5_000), st.integers(0, 400))
def test_any_part_of_a_ciphertext_is_decrypted_alone(offset: int, size: int) -> None:
    plaintext = bytes(number % 251 for number in range(5_000))
    ciphertext = AESGCM(KEY.key).encrypt(KEY.nonce, plaintext, KEY.associated)[:-16]
    assert decrypt_at(KEY, offset, ciphertext[offset : offset + size]) == plaintext[offset : offset + size]


def test_the_last_block_of_the_longest_content_has_its_counter() -> None:
    block = 2**32 - 3
    as_counted = decrypt_at(KEY, block * 16, bytes(16))
    before = decrypt_at(KEY, (block - 1) * 16, bytes(32))
    assert before[16:] == as_counted


def test_a_key_does_not_print_itself() -> None:
    assert repr(KEY) == "ContentKey(…)"
    assert repr(committing(bytes(32), bytes(28))).startswith("Commitment(content_key=ContentKey(…)")
