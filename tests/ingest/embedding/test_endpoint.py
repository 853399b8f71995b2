"""Where texts are sent, and with which key."""

from __future__ import annotations

import pytest

from haulyard.errors import ConfigError
from haulyard.ingest.embedding.endpoint import address_of, headers_of
from haulyard.ingest.embedding.model import Embedding


@pytest.mark.parametrize(
    ("url", "base", "address"),
    [
        ("", "", "https://api.openai.com/v1/embeddings"),
        ("", "http://localhost:8080/v1/", "http://localhost:8080/v1/embeddings"),
        ("http://other/v1", "http://localhost:8080/v1/", "http://other/v1/embeddings"),
        ("http://other/v1/embeddings", "", "http://other/v1/embeddings"),
        ("https://h/d?api-version=1", "", "https://h/d/embeddings?api-version=1"),
        ("${EMBEDDER}/v1", "", "${EMBEDDER}/v1/embeddings"),
    ],
)
def test_embeddings_are_below_the_base(url: str, base: str, address: str) -> None:
    environ = {"OPENAI_BASE_URL": base} if base else {}
    assert address_of(Embedding("m", url=url), environ) == address


@pytest.mark.parametrize(
    "url",
    ["localhost:8080", "ftp://h/v1", "http://", "http://user:secret@h/v1", "http://h/v1?api_key=secret"],
)
def test_what_is_no_address_or_holds_a_secret_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError) as raised:
        address_of(Embedding("m", url=url), {})
    assert "secret" not in f"{raised.value}"


def test_the_key_stays_in_its_variable() -> None:
    found = headers_of("http://h/v1/embeddings", {"OPENAI_API_KEY": "sk-1"})
    assert found == (("Authorization", "Bearer ${OPENAI_API_KEY}"),)


def test_only_openai_itself_needs_a_key() -> None:
    assert headers_of("http://localhost/v1/embeddings", {}) == ()
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        headers_of("https://api.openai.com/v1/embeddings", {"OPENAI_API_KEY": ""})
