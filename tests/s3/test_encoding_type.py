"""Names of a page come out as they were stored, however the store encodes them."""

from __future__ import annotations

from urllib.parse import quote, quote_plus, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.s3.encoding_type import decode_page
from haulyard.s3.xml import BadXml

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
odd_names = st.text(st.sampled_from("ab+% \n%25éA1z=/\0&"), min_size=1, max_size=12)
pages = st.lists(names | odd_names, max_size=8)


@given(pages)
def test_spaces_as_plus_signs_are_decoded(page: list[str]) -> None:
    assert decode_page([quote_plus(name, safe="/") for name in page]) == page


@given(pages)
def test_spaces_as_escapes_are_decoded(page: list[str]) -> None:
    assert decode_page([quote(name) for name in page]) == page


@given(pages)
def test_small_escapes_are_decoded(page: list[str]) -> None:
    encoded = ["".join(f"%{byte:02x}" for byte in name.encode()) for name in page]
    assert decode_page(encoded) == page


@given(st.lists(st.text(st.sampled_from("%0123456789ABCDEFabcdef+= xyz"), max_size=10), max_size=5))
def test_a_page_is_decoded_wholly_or_not_at_all(page: list[str]) -> None:
    try:
        decoded = decode_page(list(page))
    except BadXml:
        return
    assert decoded in (page, [unquote_plus(name, errors="replace") for name in page])


@pytest.mark.parametrize("raw", ["a b", "100%", "é", 'a"b', "a\nb", "a%zz"])
def test_a_page_that_is_not_encoded_stays_as_it_is(raw: str) -> None:
    """SeaweedFS says so of its list of uploads and does not do it."""
    assert decode_page([raw, "x+y"]) == [raw, "x+y"]


def test_many_different_escapes_are_decoded() -> None:
    for letters in (map(chr, range(1, 128)), "!\"#$&'()*+,/:;<=>?@[\\]^`{|}\x01\x02\x03\x04\x05\x06\x07\x08"):
        name = "".join(letters)
        assert decode_page([quote_plus(name)]) == [name]


def test_a_name_that_is_not_in_utf_8_is_refused() -> None:
    with pytest.raises(BadXml):
        decode_page(["%FF"])
