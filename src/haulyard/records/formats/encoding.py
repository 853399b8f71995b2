"""Text that is not UTF-8, made so: record by record where bytes allow it, else as a stream."""

from __future__ import annotations

import codecs
from typing import Final

from haulyard.errors import ConfigError

UTF8_BOM: Final = codecs.BOM_UTF8

#: The longer marks first: that of UTF-32 begins like that of UTF-16.
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: What stands in recoded text where bytes were invalid: a lone surrogate, which no UTF-8 may have, so that
#: the record is seen to be flawed.
_INVALID: Final = "\udc80"
_MARK_INVALID: Final = "haulyard.mark-invalid"


def _mark_invalid(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _INVALID, error.end


codecs.register_error(_MARK_INVALID, _mark_invalid)


class Charset:
    """How the text of an object is encoded.

    ``is_streamed`` says that the object has to be recoded from its beginning (UTF-16, say): offsets are then
    those of the recoded text. Otherwise records are cut from the bytes as they are.
    """

    def __init__(self, encoding: str, head: bytes, specials: bytes) -> None:
        """``head`` is the object's beginning, ``specials`` the ASCII bytes that records are cut by.

        Raises:
            ConfigError: There is no such encoding.
        """
        try:
            self.name = codecs.lookup(encoding).name
            b"x".decode(encoding, "replace")  # some codecs are not for text
        except LookupError:
            raise ConfigError(
                f"{encoding!r} is not the name of a text encoding",
                hint="utf-8, latin-1, cp1252, utf-16, shift_jis … as Python names them",
            ) from None
        if self.name in {"utf-8", "utf-8-sig"}:
            self.name = next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")
        self.is_utf8 = self.name == "utf-8"
        self.is_streamed = not self.is_utf8 and not _keeps_ascii(self.name, specials)

    def utf8(self, data: bytes) -> bytes:
        """Return whole records as UTF-8; UnicodeDecodeError where they are not valid."""
        if self.is_streamed or self.is_utf8:
            if not data.isascii():
                data.decode()
            return data
        return data.decode(self.name).encode()

    def complaint(self, error: UnicodeDecodeError) -> str:
        """Return why a record is flawed."""
        return f"not {self.name.upper()} at byte {error.start} of the record"


class Recoder:
    """Makes UTF-8 of a stream in another encoding; invalid bytes become what is no UTF-8 either."""

    def __init__(self, charset: Charset) -> None:
        self._decoder = codecs.getincrementaldecoder(charset.name)(_MARK_INVALID)

    def feed(self, data: bytes, *, final: bool = False) -> bytes:
        """Return what ``data`` is in UTF-8."""
        return self._decoder.decode(data, final).encode("utf-8", "surrogatepass")


def _keeps_ascii(name: str, specials: bytes) -> bool:
    """Whether ``specials`` mean themselves wherever they stand, also behind the first byte of a pair."""
    if name.startswith("iso2022"):
        return False  # what bytes mean depends on the escape sequence before them
    plain = bytes(range(128))
    try:
        if plain.decode(name) != plain.decode("ascii"):
            return False
    except UnicodeDecodeError:
        return False
    return all(
        bytes((lead, special, 0x20)).decode(name, "replace").endswith(chr(special) + " ")
        for lead in range(0x80, 0x100)
        for special in specials
    )
