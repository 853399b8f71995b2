from __future__ import annotations

import pytest

from haulyard.spool.documents import Malformed, json_event, judge, xml_event


def test_json_is_one_value_on_one_line_and_its_digits_stay() -> None:
    assert json_event(b' {"a":\n 1.10,\r\n "b": 12345678901234567890123}\n') == (
        b'{"a":  1.10,   "b": 12345678901234567890123}'
    )
    assert json_event(b'"line\\nbreak"') == b'"line\\nbreak"'


@pytest.mark.parametrize(
    "event", [b"", b"  ", b"{", b'{"a":1}{"b":2}', b"1\n2", b"NaN", b'"\xff"', b'{"a":1,}']
)
def test_what_is_not_one_json_value_is_refused(event: bytes) -> None:
    with pytest.raises(Malformed):
        json_event(event)
    assert judge("json", [b"1", event, b"2"]).events == [b"1", b"2"]


def test_json_keeps_its_order_and_its_rejects() -> None:
    batch = judge("json", [b'{"a":1}', b"nonsense", b"[1,\n2]"])
    assert batch.events == [b'{"a":1}', b"[1, 2]"]
    assert [each.event for each in batch.rejected] == [b"nonsense"]
    assert batch.taken == 3


@pytest.mark.parametrize(
    ("event", "embedded"),
    [
        (b"<a/>", b"<a/>"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- c --><?pi x?>\n<a b="1">t</a>\n', b'<a b="1">t</a>'),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><a>ä</a>'.encode("latin-1"), "<a>ä</a>".encode()),
        ('<?xml version="1.0" encoding="shift_jis"?><a>日本</a>'.encode("shift_jis"), "<a>日本</a>".encode()),
        ('<?xml version="1.0" encoding="UTF-16"?><a>ä</a>'.encode("utf-16"), "<a>ä</a>".encode()),
    ],
)
def test_of_xml_the_root_element_remains_in_utf8(event: bytes, embedded: bytes) -> None:
    assert xml_event(event) == embedded


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (b"", "empty"),
        (b"<a>", "no element found"),
        (b"<a></b>", "mismatched tag"),
        (b"<a/><b/>", "junk after document element"),
        (b"<a>&nbsp;</a>", "undefined entity"),
        (b"text", "not well-formed|syntax error"),
        (b"<a>\xff</a>", "invalid token"),
        (b'<!DOCTYPE a SYSTEM "http://example.com/a.dtd"><a/>', "DOCTYPE"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "DOCTYPE"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "klingon is unknown"),
        (b'<?xml version="1.0" encoding="ascii7"?><a/>', "ascii7 is unknown"),
        (b'<?xml version="1.0" encoding="shift_jis"?><a>\x82</a>', "not in shift_jis"),
    ],
)
def test_xml_that_is_not_well_formed_or_has_a_doctype_is_refused(event: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        xml_event(event)
