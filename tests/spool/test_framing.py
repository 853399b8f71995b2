from __future__ import annotations

import gc
import struct
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulyard.errors import SpoolError
from haulyard.spool.framing import MAX_EVENT, framer_of

if TYPE_CHECKING:
    from haulyard.spool.documents import Form, Rejected


def run(
    form: Form, data: bytes, *, piece: int = 1 << 20, framing: str = "", max_event: int = MAX_EVENT
) -> tuple[list[bytes], list[Rejected]]:
    """Feed a stream in pieces; return what came out of it."""
    framer = framer_of(form, framing, max_event=max_event)
    batches = [framer.feed(data[at : at + piece]) for at in range(0, len(data), piece)]
    batches.append(framer.finish())
    events = [event for batch in batches for event in batch.events]
    return events, [each for batch in batches for each in batch.rejected]


def squeezed(data: bytes) -> bytes:
    return b"".join(data.split())


PIECES = pytest.mark.parametrize("piece", [1, 2, 3, 7, 16, 1 << 20])


@PIECES
def test_json_comes_one_value_a_line_and_empty_lines_are_none(piece: int) -> None:
    events, rejected = run("json", b'{"a":1}\r\n\n  \n[2]\nnonsense\n"end"', piece=piece)
    assert events == [b'{"a":1}', b"[2]", b'"end"']
    assert [each.event for each in rejected] == [b"nonsense"]


def test_a_line_that_was_cut_off_by_a_stop_is_no_event_though_it_looks_like_one() -> None:
    framer = framer_of("json")
    assert framer.feed(b"1\n12").events == [b"1"]
    batch = framer.finish(stopped=True)
    assert not batch.events
    assert [each.event for each in batch.rejected] == [b"12"]


@PIECES
def test_a_line_that_is_too_long_is_rejected_whole_and_the_next_one_is_found(piece: int) -> None:
    long = b'"' + b"x" * 100 + b'"'
    events, rejected = run("json", b"1\n" + long + b"\n2\n", piece=min(piece, 16), max_event=32)
    assert events == [b"1", b"2"]
    assert b"".join(each.event for each in rejected) == long
    assert [each.is_rest for each in rejected] == [False] + [True] * (len(rejected) - 1)


@PIECES
def test_lengths_go_before_events_that_may_hold_anything(piece: int) -> None:
    texts = [b'{"a":\n1}', b"<no json>", b"", b"[1]"]
    data = b"".join(struct.pack(">I", len(text)) + text for text in texts)
    events, rejected = run("json", data, piece=piece, framing="length")
    assert events == [b'{"a": 1}', b"[1]"]
    assert [each.event for each in rejected] == [b"<no json>"]


def test_a_length_that_cannot_be_ends_the_stream_behind_what_was_whole() -> None:
    framer = framer_of("xml", "length", max_event=100)
    batch = framer.feed(struct.pack(">I", 4) + b"<a/>" + b"<b/><c/>")
    assert batch.events == [b"<a/>"]
    assert "1013067582 bytes" in str(framer.broken)
    assert framer.feed(b"<d/>").events == []
    assert [each.event for each in framer.finish().rejected] == [b"<b/><c/><d/>"]


def test_a_framing_of_the_other_form_is_refused() -> None:
    with pytest.raises(SpoolError, match="xml does not come as lines"):
        framer_of("xml", "lines")


WELL_FORMED = [
    b"<a/>",
    b'<b x=">"/>',
    b"<c y='/>' z=\"'\"><d/></c>",
    b"<e>text &lt; &#65; ]] &gt;</e>",
    b"<f><!-- </f> <f> --><![CDATA[</f><?xml version='1.0'?>]]><?pi </f> ?></f>",
    b"<g><g><g/></g></g >",
    "<ä>ü</ä>".encode(),
    b"<h\n  i='1'\n>\n</h>",
    b"<j><!-- <?xml version='1.0'?> --></j>",
]
BETWEEN = [
    *(b"", b"\n", b" \r\n\t", b'<?xml version="1.0"?>', b"\n<?xml version='1.0' encoding='utf-8'?>\n"),
    *(b"<!-- between -->", b"<?pi <a> ?>\n", b"\xef\xbb\xbf", b'<?xml version="1.0"?><!--x--><!--y-->'),
]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(BETWEEN), st.sampled_from(WELL_FORMED)), max_size=12),
    st.integers(1, 40),
)
def test_documents_one_after_another_are_found_exactly(
    documents: list[tuple[bytes, bytes]], piece: int
) -> None:
    data = b"".join(between + document for between, document in documents)
    assert run("xml", data, piece=piece) == ([document for _, document in documents], [])


BROKEN = [
    *(b"<a><b></a>", b"<a>&undefined;</a>", b"<a x=1></a>", b"<a>\x01</a>", b"<a", b"<a><b>never closed"),
    *(b"</stray>", b"only text", b"<a/>text<a/>", b"<?xml nonsense?><a/>", b"<a x='1' x='2'/>", b"<<<>>>"),
    *(b"<a><?xml version='1.0'?></a>", b"<a>]]></a>", b"<a><a><b></a></a>", b"&amp;", b"<![CDATA[x]]>"),
]


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(WELL_FORMED), st.sampled_from(BROKEN)), max_size=10),
    st.integers(1, 60),
)
def test_every_byte_of_a_broken_stream_comes_out_again(parts: list[bytes], piece: int) -> None:
    data = b"\n".join(parts)
    events, rejected = run("xml", data, piece=piece)
    out = b"".join([*events, *(each.event for each in rejected)])
    assert sorted(squeezed(out)) == sorted(squeezed(data))


@pytest.mark.parametrize("broken", BROKEN)
@PIECES
def test_a_broken_document_takes_none_with_it_that_has_a_known_name(broken: bytes, piece: int) -> None:
    good = [b"<a>1</a>", b"<a>2</a>", b"<a>3</a>"]
    events, rejected = run("xml", b"\n".join([good[0], broken, *good[1:]]), piece=piece)
    assert [each for each in events if each in good] == good
    assert rejected


def test_a_broken_document_is_rejected_whole_with_the_reason() -> None:
    events, rejected = run("xml", b"<a>&x;<b>t</b></a><c/><d></e><c/>")
    assert events == [b"<c/>", b"<c/>"]
    assert [(each.event, each.reason.partition(" (")[0].partition(": line")[0]) for each in rejected] == [
        (b"<a>&x;<b>t</b></a>", "not well-formed: undefined entity"),
        (b"<d></e>", "not well-formed: mismatched tag"),
    ]


@PIECES
def test_a_doctype_is_refused_with_its_whole_document(piece: int) -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><a>&z;<b/></a>'
    events, rejected = run("xml", b"<a/>" + bomb + b"\n<a>2</a>", piece=piece)
    assert events == [b"<a/>", b"<a>2</a>"]
    assert [(each.event, "DOCTYPE" in each.reason) for each in rejected] == [(bomb, True)]


@PIECES
def test_documents_in_several_encodings_become_utf8(piece: int) -> None:
    latin = '<?xml version="1.0" encoding="iso-8859-1"?><a>äö</a>'.encode("latin-1")
    japanese = '<?xml version="1.0" encoding="shift_jis"?><b>日本</b>'.encode("shift_jis")
    events, rejected = run("xml", b"<x/>" + latin + b"\n" + japanese + b"<y/>", piece=piece)
    assert events == [b"<x/>", "<a>äö</a>".encode(), "<b>日本</b>".encode(), b"<y/>"]
    assert not rejected


def test_a_declaration_inside_of_a_document_is_an_error_and_in_a_comment_none() -> None:
    inside = b'<a><?xml version="1.0"?></a>'
    events, rejected = run("xml", b'<?xml version="1.0"?><a/>' + inside + b"<a>2</a>")
    assert events == [b"<a/>", b"<a>2</a>"]
    assert [each.event for each in rejected] == [inside]


def test_a_document_that_is_never_closed_is_given_up_and_those_in_it_are_found() -> None:
    framer = framer_of("xml", max_event=1000)
    batch = framer.feed(b"<a><open>\n" + b"<a>good</a>\n" * 100)
    assert batch.events == [b"<a>good</a>"] * 100
    assert [(each.event, each.reason) for each in batch.rejected] == [
        (b"<a><open>", "longer than 1000 bytes")
    ]


def test_tags_that_are_never_closed_do_not_cost_more_the_more_there_are() -> None:
    started = time.process_time()
    events, rejected = run("xml", b"<a>" * 20_000, max_event=10_000)
    assert time.process_time() - started < 5
    assert not events
    assert b"".join(each.event for each in rejected) == b"<a>" * 20_000


def test_comments_without_end_do_not_take_exponential_time() -> None:
    started = time.process_time()
    run("xml", b"<!--a-->" * 2_000 + b"text")
    assert time.process_time() - started < 5


@pytest.mark.parametrize("broken", [*BROKEN, b"<!DOCTYPE a><a/>", b'<?xml version="1.0" encoding="x"?><a/>'])
def test_parsers_are_gone_without_a_collection(broken: bytes) -> None:
    def parsers() -> int:
        return sum(type(each).__name__ == "xmlparser" for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = parsers()
        run("xml", (b"<a/>" + broken) * 20)
        assert parsers() <= before
    finally:
        gc.enable()


def test_a_large_document_is_found_though_it_comes_in_many_pieces() -> None:
    large = b"<a>" + b"<b>text</b>" * 50_000 + b"</a>"
    assert run("xml", large + b"<c/>", piece=10_000) == ([large, b"<c/>"], [])
