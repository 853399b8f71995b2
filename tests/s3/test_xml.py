"""The reader takes S3's XML and nothing else; the writer carries any text that XML can."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.s3.xml import (
    MAX_BYTES,
    MAX_DEPTH,
    NAMESPACE,
    BadXml,
    document,
    escape,
    expressible,
    is_document,
    leaf,
    parse,
    succeeded_as,
)

BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]>
<ListBucketResult><Name>&lol2;</Name></ListBucketResult>"""


def test_a_tree_has_local_names_texts_and_attributes() -> None:
    root = parse(
        b'<?xml version="1.0"?>\n<s3:Answer xmlns:s3="urn:x"><s3:Key>a&amp;b</s3:Key><s3:Key>c</s3:Key>'
        b'<Grantee xmlns:xsi="urn:y" xsi:type="Group"/></s3:Answer>'
    )
    assert root.tag == "Answer"
    assert root.value("Key") == "a&b"
    assert [key.text for key in root.all("Key")] == ["a&b", "c"]
    grantee = root.find("Grantee")
    assert grantee is not None
    assert grantee.attributes["type"] == "Group"
    assert root.find("Absent") is None
    assert root.value("Absent", "x") == "x"


@pytest.mark.parametrize(
    "declared",
    [
        BOMB,
        b"<!DOCTYPE Error><Error/>",
        b'<!DOCTYPE Error SYSTEM "http://example.com/x.dtd"><Error/>',
        b'<!DOCTYPE Error [<!ENTITY x SYSTEM "file:///etc/passwd">]><Error>&x;</Error>',
        b"<!DOCTYPE html>\n<html><title>502</title></html>",
    ],
)
def test_any_doctype_is_refused(declared: bytes) -> None:
    with pytest.raises(BadXml, match="DOCTYPE"):
        parse(declared)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"   ",
        b"<a>",
        b"<a></b>",
        b"<a>&undeclared;</a>",
        b"<a/><b/>",
        b"plain",
        b"<a>\xff</a>",
        b'<?xml version="1.0" encoding="nonsense"?><a/>',
        b'<?xml version="1.0" encoding="utf-7"?><a/>',
    ],
)
def test_what_is_not_well_formed_is_refused(broken: bytes) -> None:
    with pytest.raises(BadXml):
        parse(broken)


def test_size_and_depth_are_bounded() -> None:
    with pytest.raises(BadXml, match="more than"):
        parse(b"<a>" + b" " * MAX_BYTES + b"</a>")
    assert parse(b"<a>" * MAX_DEPTH + b"</a>" * MAX_DEPTH).tag == "a"
    with pytest.raises(BadXml, match="deeper"):
        parse(b"<a>" * (MAX_DEPTH + 1) + b"</a>" * (MAX_DEPTH + 1))


def test_another_root_is_refused() -> None:
    with pytest.raises(BadXml, match="<Error> where <CopyObjectResult>"):
        parse(b"<Error/>", "CopyObjectResult")


def test_white_space_that_kept_the_connection_alive_is_skipped() -> None:
    assert parse(b'   \n \n<?xml version="1.0"?><a/>').tag == "a"


def test_numbers_and_times_are_checked() -> None:
    root = parse(b"<a><Size>12</Size><Bad>1x</Bad><Wide>\xd9\xa3</Wide><T>2024-05-01T01:02:03.000Z</T></a>")
    assert root.integer("Size") == 12
    assert root.integer("Absent", 7) == 7
    for tag in ("Bad", "Wide", "Absent"):
        with pytest.raises(BadXml):
            root.integer(tag)
    with pytest.raises(BadXml):
        root.integer("Bad", 7)
    time = root.time("T")
    assert time is not None
    assert time.isoformat() == "2024-05-01T01:02:03+00:00"
    assert root.time("Absent") is None
    with pytest.raises(BadXml):
        root.time("Bad")


def test_success_is_a_whole_document_with_the_right_root() -> None:
    classify = succeeded_as("CopyObjectResult")
    assert classify(200, {}, b"<CopyObjectResult/>")
    assert not classify(200, {}, b"<Error><Code>InternalError</Code></Error>")
    assert not classify(200, {}, b"<CopyObjectResult>")
    assert not classify(200, {}, b"")
    assert is_document(b"<B/>", "A", "B")


@given(st.text())
def test_what_is_written_is_read_back(text: str) -> None:
    if not expressible(text):
        with pytest.raises(BadXml):
            escape(text)
        return
    root = parse(document("Root", leaf("Key", text)))
    assert root.value("Key") == text
    assert root.tag == "Root"


def test_documents_are_in_the_namespace_of_s3() -> None:
    assert document("Tagging", "") == f'<Tagging xmlns="{NAMESPACE}"></Tagging>'.encode()


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    with contextlib.suppress(BadXml):
        parse(data)
