"""The two algorithm suites that are read, and the keys that an object's data key becomes. Pure.

Sources: "AWS Encryption SDK specification", s3-encryption: key-derivation.md, encryption.md; NIST SP 800-38D.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, NamedTuple

from haulyard.fs.encryption.model import KEY_BYTES

if TYPE_CHECKING:
    from haulyard.models.body import Buffer

#: Bytes of the authentication tag, which ends every ciphertext.
TAG_BYTES = 16
#: Bytes of a nonce of AES-GCM, here and where a data key is wrapped.
NONCE_BYTES = 12
#: The most plaintext that one nonce may encrypt (SP 800-38D, 5.2.1.1: 2^39 - 256 bits).
MAX_PLAINTEXT = 2**36 - 32
#: Bytes of the message id (HKDF's salt) and of the commitment.
MESSAGE_ID_BYTES = COMMITMENT_BYTES = 28

_BLOCK = 16
_COMMITTING_ID = b"\x00\x73"
#: With a key that is used once the nonce needs no change; the suite fixes it.
_COMMITTING_NONCE = b"\x01" * NONCE_BYTES


class ContentKey(NamedTuple):
    """What encrypts one object: key, nonce, and the data that is authenticated with it.

    Never printed: its text says only that it is one.
    """

    key: bytes
    nonce: bytes
    associated: bytes

    def __repr__(self) -> str:
        return "ContentKey(…)"


class Commitment(NamedTuple):
    """A derived content key, and what commits the object to its data key."""

    content_key: ContentKey
    value: bytes


def committing(data_key: bytes, message_id: bytes) -> Commitment:
    """Derive both keys of suite 0x0073 (HKDF of RFC 5869 with SHA-512) from a data key of 32 bytes."""
    extracted = hmac.digest(message_id, data_key, "sha512")
    derived = _expand(extracted, _COMMITTING_ID + b"DERIVEKEY", KEY_BYTES)
    value = _expand(extracted, _COMMITTING_ID + b"COMMITKEY", COMMITMENT_BYTES)
    return Commitment(ContentKey(derived, _COMMITTING_NONCE, _COMMITTING_ID), value)


def not_committing(data_key: bytes, nonce: bytes) -> ContentKey:
    """Return the key of suite 0x0072: the data key itself, and the object's own nonce."""
    return ContentKey(data_key, nonce, b"")


def _expand(extracted: bytes, info: bytes, size: int) -> bytes:
    """HKDF's second step; one block of SHA-512 is more than either key needs."""
    assert size <= hashlib.sha512().digest_size  # noqa: S101 -- holds for both constants above
    return hmac.digest(extracted, info + b"\x01", "sha512")[:size]


def seal_at_once(key: ContentKey, plaintext: Buffer) -> bytes:
    """Return a whole ciphertext with its tag: for small contents, which take half the time this way."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key.key).encrypt(key.nonce, plaintext, key.associated)


def open_at_once(key: ContentKey, ciphertext: Buffer) -> bytes | None:
    """Return the plaintext of a whole ciphertext with its tag; None where the tag is not right."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key.key).decrypt(key.nonce, ciphertext, key.associated)
    except InvalidTag:
        return None


class Sealing:
    """Encrypts one content in order; `finish` returns the tag that goes last."""

    def __init__(self, key: ContentKey) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        self._cipher = Cipher(algorithms.AES(key.key), modes.GCM(key.nonce)).encryptor()
        self._cipher.authenticate_additional_data(key.associated)

    def update(self, plaintext: Buffer) -> bytes:
        """Return the ciphertext of the next piece, which has the same size."""
        return self._cipher.update(plaintext)

    def update_into(self, plaintext: Buffer, place: memoryview) -> None:
        """Write the ciphertext of the next piece to ``place``, which has at least 15 bytes more."""
        self._cipher.update_into(plaintext, place)

    def finish(self) -> bytes:
        """Return the tag."""
        self._cipher.finalize()
        return self._cipher.tag


class Opening:
    """Decrypts one content in order; nothing that it returned is to be trusted before `verify`."""

    def __init__(self, key: ContentKey) -> None:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        self._cipher = Cipher(algorithms.AES(key.key), modes.GCM(key.nonce)).decryptor()
        self._cipher.authenticate_additional_data(key.associated)

    def update(self, ciphertext: Buffer) -> bytes:
        """Return the plaintext of the next piece, which has the same size."""
        return self._cipher.update(ciphertext)

    def update_into(self, ciphertext: Buffer, place: memoryview) -> None:
        """Write the plaintext of the next piece to ``place``, which has at least 15 bytes more."""
        self._cipher.update_into(ciphertext, place)

    def verify(self, tag: bytes) -> bool:
        """Return whether ``tag`` is that of all pieces so far, and of this key."""
        from cryptography.exceptions import InvalidTag

        try:
            self._cipher.finalize_with_tag(tag)
        except InvalidTag:
            return False
        return True


def decrypt_at(key: ContentKey, offset: int, ciphertext: Buffer) -> bytes:
    """Decrypt a piece that begins ``offset`` bytes into a ciphertext that has been verified.

    GCM encrypts as CTR does, with a counter of 32 bits behind the nonce; the content's first block has 2.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    block, skipped = divmod(offset, _BLOCK)
    counter = key.nonce + (block + 2).to_bytes(4, "big")
    cipher = Cipher(algorithms.AES(key.key), modes.CTR(counter)).decryptor()
    if skipped:
        cipher.update(bytes(skipped))
    return cipher.update(ciphertext)
