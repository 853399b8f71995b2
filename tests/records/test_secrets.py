"""No job keeps a secret."""

from __future__ import annotations

import pytest

from haulyard.errors import ConfigError
from haulyard.records.secrets import check_address, check_url, check_variables, filled, parse_header


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("X-Team: data", ("X-Team", "data")),
        ("X-Empty:", ("X-Empty", "")),
        ("Content-Type: text/plain; a=b:c", ("Content-Type", "text/plain; a=b:c")),
        ("Authorization: Bearer ${TOKEN}", ("Authorization", "Bearer ${TOKEN}")),
        ("x-api-key:${KEY}", ("x-api-key", "${KEY}")),
        ("X-Basic: plain", ("X-Basic", "plain")),
    ],
)
def test_a_header_is_a_name_and_a_value_with_its_variables_unfilled(
    text: str, header: tuple[str, str]
) -> None:
    assert parse_header(text) == header


@pytest.mark.parametrize("text", ["", "X-Team", ": x", "X Team: x", "X: a\nY: b", "X: a\rb", "X: \0", "Ü: x"])
def test_what_is_no_header_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no header"):
        parse_header(text)


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: hunter2",
        "Proxy-Authorization: Basic hunter2",
        "Cookie: session=hunter2",
        "X-API-Key: hunter2",
        "apikey: hunter2",
        "X-Auth: hunter2",
        "X-Amz-Security-Token: hunter2",
        "Ocp-Apim-Subscription-Key: hunter2",
        "X-Access-Key: hunter2",
        "Client-Secret: hunter2",
        "X-Password: hunter2",
        "X-Plain: Bearer hunter2",
        "X-Plain: basic hunter2",
    ],
)
def test_a_secret_that_would_be_kept_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError, match="kept in the job's folder") as caught:
        parse_header(text)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
    assert "${" in caught.value.hint


@pytest.mark.parametrize("name", ["Idempotency-Key", "Content-Length", "host", "Transfer-Encoding"])
def test_headers_that_each_call_has_of_its_own_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="not yours"):
        parse_header(f"{name}: x")


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com/v1?page=1&x",
        "https://api.example.com/a@b",
        "https://api.example.com/?key=${KEY}&token=${TOKEN}",
        "https://api.example.com/?mail=a@b",
        "https://api.example.com/?token=",
        "${API}",
    ],
)
def test_an_address_without_a_secret_is_fine(url: str) -> None:
    check_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@api.example.com/",
        "HTTPS://hunter2@api.example.com",
        "https://api.example.com/?api_key=hunter2",
        "https://api.example.com/?a=b&access_token=hunter2#x",
        "https://api.example.com/?sig=hunter2",
        "https://api.example.com/?key=hunter2",
    ],
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="kept in the job's folder") as caught:
        check_address(url)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


def test_once_filled_an_address_may_have_its_keys_but_no_user() -> None:
    check_url("https://api.example.com/?key=hunter2")
    with pytest.raises(ConfigError):
        check_url("https://user@api.example.com/")


def test_variables_are_filled_in() -> None:
    environ = {"A": "1", "B_2": "x${A}"}
    assert filled("${A}-${B_2}-$A-${}-{A}", environ) == "1-x${A}-$A-${}-{A}"


@pytest.mark.parametrize(
    ("environ", "message"),
    [({}, "not set"), ({"TOKEN": ""}, "not set"), ({"TOKEN": "hunter2\n"}, "not one line")],
)
def test_a_variable_without_a_value_is_named_and_a_value_never(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=f"TOKEN is {message}") as caught:
        filled("Bearer ${TOKEN}", environ)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
    with pytest.raises(ConfigError, match=f"TOKEN is {message}"):
        check_variables(["x", "${TOKEN}"], environ)


def test_variables_that_are_set_pass() -> None:
    check_variables(["Bearer ${TOKEN}", "plain"], {"TOKEN": "x"})
