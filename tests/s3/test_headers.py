"""Options become headers, and nothing that cannot be sent faithfully is sent."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import ConfigError
from haulyard.models import Encryption, PutOptions, Secret
from haulyard.s3.headers import (
    MAX_METADATA_BYTES,
    access_headers,
    account_headers,
    check_tags,
    checked,
    condition_headers,
    customer_key_headers,
    encryption_headers,
    has_customer_key,
    metadata_headers,
    percent_encode,
    put_headers,
    quote_etag,
    tagging_header,
    unquote_etag,
)

KEY = bytes(range(32))
SSE_C = Encryption("SSE-C", customer_key=Secret(KEY))


@pytest.mark.parametrize(
    "value", ["a\r\nX-Evil: 1", "a\nb", "a\tb", "a\0", "a\x7f", " a", "a ", "é", "\u2028"]
)
def test_no_value_can_end_or_change_its_header(value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked("content-type", value)
    assert "content-type" in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    "options",
    [
        PutOptions(content_type="a\nb"),
        PutOptions(content_disposition="é"),
        PutOptions(metadata={"k": "a\r\nb"}),
        PutOptions(metadata={"k\n": "a"}),
        PutOptions(storage_class="A\n"),
        PutOptions(acl="a\n"),
        PutOptions(grants={"read": "id=a\n"}),
        PutOptions(encryption=Encryption("aws:kms", kms_key_id="a\n")),
        PutOptions(encryption=Encryption("aws:kms", kms_context="a\n")),
    ],
)
def test_header_injection_is_refused_wherever_a_caller_gives_text(options: PutOptions) -> None:
    with pytest.raises(ConfigError):
        put_headers(options)


def test_conditions_cannot_inject() -> None:
    with pytest.raises(ConfigError):
        condition_headers(PutOptions(if_match='a"\r\nX: 1'))


def test_all_that_describes_an_object_has_its_header() -> None:
    options = PutOptions(
        content_type="text/plain",
        content_encoding="gzip",
        content_disposition='attachment; filename="x"',
        content_language="de",
        cache_control="no-cache",
        expires="Wed, 01 May 2024 00:00:00 GMT",
        website_redirect="/x",
        metadata={"Foo": "bar"},
        tags={"a b": "c&d", "é": ""},
        storage_class="STANDARD_IA",
        acl="private",
        grants={"read": 'id="1"'},
    )
    assert put_headers(options) == {
        "content-type": "text/plain",
        "content-encoding": "gzip",
        "content-disposition": 'attachment; filename="x"',
        "content-language": "de",
        "cache-control": "no-cache",
        "expires": "Wed, 01 May 2024 00:00:00 GMT",
        "x-amz-website-redirect-location": "/x",
        "x-amz-meta-foo": "bar",
        "x-amz-tagging": "a%20b=c%26d&%C3%A9=",
        "x-amz-storage-class": "STANDARD_IA",
        "x-amz-acl": "private",
        "x-amz-grant-read": 'id="1"',
    }


def test_an_unknown_grant_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown grant"):
        access_headers(PutOptions(grants={"everything": "id=1"}))


def test_metadata_that_is_not_ascii_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="'title'"):
        metadata_headers({"title": "Überschrift"})


def test_metadata_keys_are_header_names() -> None:
    for key in ("", "a b", "a:b", "é", "a\n"):
        with pytest.raises(ConfigError, match="cannot be a header name"):
            metadata_headers({key: "x"})
    with pytest.raises(ConfigError, match="twice"):
        metadata_headers({"a": "1", "A": "2"})


def test_metadata_is_bounded() -> None:
    metadata_headers({"key": "x" * (MAX_METADATA_BYTES - 3)})
    with pytest.raises(ConfigError, match="2049 bytes of metadata under 'key'"):
        metadata_headers({"key": "x" * (MAX_METADATA_BYTES - 2)})


def test_tags_are_bounded() -> None:
    check_tags({str(number): "x" * 256 for number in range(10)})
    for tags in ({str(number): "" for number in range(11)}, {"": "x"}, {"k" * 129: ""}, {"k": "v" * 257}):
        with pytest.raises(ConfigError) as caught:
            check_tags(tags)
        assert caught.value.hint


@given(st.dictionaries(st.text(min_size=1, max_size=9).filter(str.strip), st.text(max_size=9), max_size=5))
def test_tags_come_out_of_their_header_as_they_went_in(tags: dict[str, str]) -> None:
    tags = {
        key.encode("utf-8", "ignore").decode() or "k": value.encode("utf-8", "ignore").decode()
        for key, value in tags.items()
    }
    header = tagging_header(tags)
    pairs = [pair.split("=") for pair in header.split("&")] if header else []
    assert {unquote(key): unquote(value) for key, value in pairs} == tags


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_percent_encoding_is_that_of_the_standard_library(text: str) -> None:
    assert percent_encode(text) == quote(text, safe="")
    assert percent_encode(text, keep="/") == quote(text, safe="/")


def test_etags_are_quoted_on_the_wire_and_nowhere_else() -> None:
    assert quote_etag("abc-2") == '"abc-2"'
    assert quote_etag('"abc"') == '"abc"'
    assert quote_etag("*") == "*"
    assert quote_etag('W/"abc"') == 'W/"abc"'
    assert unquote_etag('"abc"') == "abc"
    assert unquote_etag("abc") == "abc"
    assert unquote_etag('W/"abc"') == 'W/"abc"'
    assert condition_headers(PutOptions(if_match="e", if_none_match="*")) == {
        "if-match": '"e"',
        "if-none-match": "*",
    }


def test_server_side_encryption_by_s3() -> None:
    assert encryption_headers(Encryption("AES256")) == {"x-amz-server-side-encryption": "AES256"}


def test_server_side_encryption_by_kms() -> None:
    context = '{"a": "b"}'
    headers = encryption_headers(
        Encryption("aws:kms", kms_key_id="arn:k", kms_context=context, bucket_key=True)
    )
    assert headers == {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "arn:k",
        "x-amz-server-side-encryption-context": base64.b64encode(context.encode()).decode(),
        "x-amz-server-side-encryption-bucket-key-enabled": "true",
    }
    encoded = Encryption("aws:kms:dsse", kms_context="eyJhIjoiYiJ9", bucket_key=False)
    assert encryption_headers(encoded)["x-amz-server-side-encryption-context"] == "eyJhIjoiYiJ9"
    assert encryption_headers(encoded)["x-amz-server-side-encryption-bucket-key-enabled"] == "false"


def test_an_encryption_that_makes_no_sense_is_refused() -> None:
    for encryption in (
        Encryption("rot13"),
        Encryption("AES256", kms_key_id="k"),
        Encryption("SSE-C"),
        Encryption("SSE-C", customer_key=Secret(b"short")),
    ):
        with pytest.raises(ConfigError) as caught:
            encryption_headers(encryption)
        assert "short" not in str(caught.value)


def test_a_customer_key_goes_with_the_object_and_with_the_source_of_a_copy() -> None:
    """Row "SSE-C"."""
    encoded = base64.b64encode(KEY).decode()
    md5 = base64.b64encode(hashlib.md5(KEY, usedforsecurity=False).digest()).decode()
    assert encryption_headers(SSE_C) == customer_key_headers(SSE_C)
    assert customer_key_headers(SSE_C) == {
        "x-amz-server-side-encryption-customer-algorithm": "AES256",
        "x-amz-server-side-encryption-customer-key": encoded,
        "x-amz-server-side-encryption-customer-key-md5": md5,
    }
    source = customer_key_headers(SSE_C, copy_source=True)
    assert source["x-amz-copy-source-server-side-encryption-customer-key"] == encoded
    assert has_customer_key(source)
    assert has_customer_key(customer_key_headers(SSE_C))
    assert not has_customer_key(encryption_headers(Encryption("AES256")))


@pytest.mark.parametrize("mode", ["AES256", "aws:kms"])
def test_only_customer_keys_are_needed_to_read(mode: str) -> None:
    assert customer_key_headers(Encryption(mode)) == {}
    assert customer_key_headers(None) == {}


def test_accounts_are_named_only_where_asked_for() -> None:
    """Row "requester pays": only on an explicit flag."""
    assert account_headers() == {}
    assert account_headers(request_payer=True, expected_owner="1", source_owner="2") == {
        "x-amz-request-payer": "requester",
        "x-amz-expected-bucket-owner": "1",
        "x-amz-source-expected-bucket-owner": "2",
    }
