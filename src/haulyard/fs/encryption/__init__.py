"""Client-side encryption: the store holds ciphertext, and the keys never leave the client.

The format is that of the Amazon S3 Encryption Client with key commitment (algorithm suite 0x0073, version 3
of its object metadata): AES-256-GCM under a key that HKDF-SHA512 derives from a data key of each object's
own, which a local key or AWS KMS wraps. Needs the extra ``encryption``.

`ClientSideEncryption` is what the caller asks for; `Encrypter` does it, one for all objects::

    encrypter = Encrypter(ClientSideEncryption(wrapping_key=Secret(key)), connection)

    sealed = await encrypter.seal_bytes(b"...")            # sealed.body, sealed.metadata
    sealed = await encrypter.seal(chunks, size)            # sealed.chunks, sealed.metadata, sealed.size

    async for chunk in encrypter.unseal(head, chunks):     # verified before the first byte is given
        ...
    async with encrypter.open(head, chunks) as plain:      # verified once, then ranges in any order
        await plain.read(start, end)

For whoever stores what was sealed:

- ``sealed.metadata`` (keys ``x-amz-…``) is added to the object's own metadata, and must stay with it: what
  replaces the metadata keeps it. `check_own` refuses entries of others by these names, `own_metadata` takes
  the format's out again for those who ask.
- A sealed stream is made once. It cannot be read again from its start, for the same keystream would
  encrypt other bytes if the source had changed: send it in parts that are kept until they are stored.
- The ciphertext is 16 bytes longer: `plaintext_size` returns what a caller expects to see.
- A range of the plaintext needs the whole ciphertext, which is verified first; so does each `unseal`. For
  more than one range, keep the `open` object.
- A copy inside the store stays readable. A presigned GET gives ciphertext, and what is written through a
  presigned PUT is not encrypted: it is refused when read.
"""

from haulyard.fs.encryption.encrypter import Encrypter, Sealed, SealedBytes
from haulyard.fs.encryption.envelope import check_own, is_sealed, own_metadata, plaintext_size
from haulyard.fs.encryption.model import ClientSideEncryption
from haulyard.fs.encryption.unsealing import Plaintext

__all__ = [
    "ClientSideEncryption",
    "Encrypter",
    "Plaintext",
    "Sealed",
    "SealedBytes",
    "check_own",
    "is_sealed",
    "own_metadata",
    "plaintext_size",
]
