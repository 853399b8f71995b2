"""What a call carries."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from haulyard.errors import ConfigError, RecordError
from haulyard.records.bodies import Shape, encoder

ANN, BOB = b'{"id":"1","name":"Ann"}', b'{"id":"2","name":"Bob"}'


@pytest.mark.parametrize(
    ("shape", "size", "records", "body"),
    [
        ("json", 1, [ANN], ANN),
        ("json", 2, [ANN, BOB], b"[" + ANN + b"," + BOB + b"]"),
        # The last call of several may carry one: the API gets an array all the same.
        ("json", 2, [ANN], b"[" + ANN + b"]"),
        ("array", 1, [ANN], b"[" + ANN + b"]"),
    ],
)
def test_json_is_sent_as_it_was_read(shape: Shape, size: int, records: list[bytes], body: bytes) -> None:
    encode, media_type = encoder(shape, "", size)
    assert encode(records) == body
    assert media_type == "application/json"


@pytest.mark.parametrize(
    ("shape", "template", "body"),
    [
        ("form", "", b"id=123456789012345678901234567890&in=%5B18446744073709551616%5D"),
        ("template", "<{{id}} {{in}}>", b"<123456789012345678901234567890 [18446744073709551616]>"),
    ],
)
def test_integers_beyond_64_bits_keep_all_of_their_digits(shape: Shape, template: str, body: bytes) -> None:
    encode, _ = encoder(shape, template, 1)
    assert encode([b'{"id":123456789012345678901234567890,"in":[18446744073709551616]}']) == body


def test_a_form_has_the_fields_of_the_record() -> None:
    encode, media_type = encoder("form", "", 1)
    body = encode(['{"name":"Ann & Bö","n":7,"x":null,"yes":true,"in":[1,2]}'.encode()])
    assert media_type == "application/x-www-form-urlencoded"
    assert parse_qs(body.decode(), keep_blank_values=True) == {
        "name": ["Ann & Bö"],
        "n": ["7"],
        "x": [""],
        "yes": ["true"],
        "in": ["[1,2]"],
    }


@pytest.mark.parametrize("record", [b"[1]", b"7", b'"x"', b"null"])
def test_a_form_needs_a_record_with_fields(record: bytes) -> None:
    encode, _ = encoder("form", "", 1)
    with pytest.raises(RecordError, match="fields"):
        encode([record])


@pytest.mark.parametrize(
    ("template", "body"),
    [
        ('{"user":{{name}},"at":1}', b'{"user":"Ann","at":1}'),
        ("{{ name }}{{id}}", b'"Ann""1"'),
        ('{"all":{{*}}}', b'{"all":' + ANN + b"}"),
        ("{{*}}{{ * }}", ANN + ANN),
        ('{"all":{{*}},"id":{{id}}}', b'{"all":' + ANN + b',"id":"1"}'),
    ],
)
def test_a_template_is_filled_in(template: str, body: bytes) -> None:
    encode, media_type = encoder("template", template, 1)
    assert encode([ANN]) == body
    assert encode([ANN]) == body
    assert media_type == "application/json"


def test_a_template_for_several_gets_them_as_an_array() -> None:
    encode, _ = encoder("template", '{"batch":{{*}}}', 2)
    assert encode([ANN, BOB]) == b'{"batch":[' + ANN + b"," + BOB + b"]}"
    assert encode([ANN]) == b'{"batch":[' + ANN + b"]}"


@pytest.mark.parametrize("record", [b'{"id":1}', b"[]", b"7"])
def test_a_field_that_the_template_wants_and_the_record_has_not_is_named(record: bytes) -> None:
    encode, _ = encoder("template", "{{name}}", 1)
    with pytest.raises(RecordError, match="'name'"):
        encode([record])


@pytest.mark.parametrize(
    ("shape", "template", "size", "message"),
    [
        ("form", "", 2, "one record"),
        ("template", "", 1, "no place"),
        ("template", '{"a":{b}}', 1, "no place"),
        ("template", "{{*}}{{id}}", 2, "the field 'id'"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_sent(
    shape: Shape, template: str, size: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        encoder(shape, template, size)
