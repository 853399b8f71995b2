"""What a caller asks for, and the refusals that need no object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.models import Secret

#: Bytes of an AES-256 key: the wrapping key's, and the data keys'.
KEY_BYTES = 32
#: What the format keeps for itself in the context of a KMS key ("S3 Encryption Client", kms+context).
CIPHER_IN_CONTEXT = "aws:x-amz-cek-alg"
_RESERVED = frozenset({CIPHER_IN_CONTEXT, "kms_cmk_id"})
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ClientSideEncryption:
    """How objects are encrypted before they are sent. Give exactly one of the two keys.

    Args:
        wrapping_key: 32 bytes of an AES-256 key that wraps the data keys on this machine.
        kms_key_id: Id, ARN or alias of the AWS KMS key that makes and unwraps them: one call for each object
            that is written or read (``kms:GenerateDataKey``, ``kms:Decrypt``).
        context: Goes with every object, and must be the same when it is read. KMS binds it to the data key.
            Beside a local key it is a label, kept as the material description, that nothing binds.
        delayed_auth: Release plaintext as it is decrypted, before it is verified: what was released before an
            `IntegrityError` must be thrown away.
        allow_uncommitted: Also read objects of older clients, whose format (0x0072) commits to no key.
            Written is always the format that does.
        memory: Bytes of ciphertext that wait in memory to be verified; what is larger waits in a file
            without a name in ``spool_dir`` (``""``: the system's directory for such files). No plaintext is
            written to the disk.
        kms_endpoint_url: Where KMS is, instead of AWS_ENDPOINT_URL_KMS or AWS's own address.

    Raises:
        ConfigError: No key or two of them, a key of another size, a context that the format cannot keep.
    """

    wrapping_key: Secret | None = None
    kms_key_id: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    delayed_auth: bool = False
    allow_uncommitted: bool = False
    memory: int = 8 * _MIB
    spool_dir: str = ""
    kms_endpoint_url: str = ""

    def __post_init__(self) -> None:
        if (self.wrapping_key is None) == (not self.kms_key_id):
            raise ConfigError(
                "client-side encryption needs one key", hint="give wrapping_key or kms_key_id, not both"
            )
        if self.wrapping_key is not None and len(self.wrapping_key.reveal()) != KEY_BYTES:
            raise ConfigError(
                f"the wrapping key has {len(self.wrapping_key.reveal())} bytes, not {KEY_BYTES}",
                hint="AES-256: `openssl rand 32` makes one",
            )
        if self.memory < 0:
            raise ConfigError(f"memory={self.memory} is negative", hint="0 lets everything wait in a file")
        for key, value in self.context.items():
            _check_entry(key, value)


def _check_entry(key: str, value: str) -> None:
    if key in _RESERVED:
        raise ConfigError(f"the context entry {key} belongs to the format", hint="choose another name")
    # S3 re-encodes metadata that is not ASCII, and clients disagree on how to undo it.
    if not (key.isascii() and value.isascii()):
        raise ConfigError(f"the context entry {key!r} is not ASCII", hint="escape it")
