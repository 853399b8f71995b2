"""The parts of one file, as an upload in parts wants them: whoever begins one brings the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.checksums import checksum_of
from haulyard.models import PartInfo, PartOptions

if TYPE_CHECKING:
    from haulyard.models import ByteRange
    from haulyard.transfer.files import SourceFile
    from haulyard.transfer.multipart import PartTarget


class FileParts:
    """A file as a `haulyard.transfer.multipart.PartSource`; ``algorithm`` is that of the checksums."""

    def __init__(self, file: SourceFile, algorithm: str) -> None:
        self._file = file
        self.name = file.name
        self.identity = tuple(file.fingerprint)
        self.algorithm = algorithm

    async def send(self, target: PartTarget, number: int, part: ByteRange) -> PartInfo:
        """Send one part with its checksum."""
        checksum = None
        if self.algorithm != "none":
            checksum = checksum_of(self.algorithm, await self._file.digest(self.algorithm, part))
        options = PartOptions(checksum, "" if checksum else "none", target.encryption)
        body = self._file.slice(part)
        sent = await target.store.put_part(target.key, target.upload_id, number, body, options)
        return PartInfo(number, sent.etag, body.size, checksum)

    def check(self) -> None:
        """Raise SourceChanged if the file is not what it was."""
        self._file.check()
