from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from haulyard import AsyncClient, ConfigError
from haulyard.client.arguments import (
    Properties,
    SettingOptions,
    byte_range,
    check_keys,
    checksum_algorithm,
    filter_of,
    put_options,
    resolve_settings,
    seconds_of,
)
from haulyard.config import SETTINGS, Settings
from haulyard.models import ByteRange, PutOptions

if TYPE_CHECKING:
    from pathlib import Path

#: Settings of the command line and of its other rooms.
OF_THE_COMMAND_LINE = {"log_level", "log_file", "progress", "json", "local_dir"}


def test_a_client_takes_every_setting_that_concerns_it() -> None:
    assert SettingOptions.__annotations__.keys() == SETTINGS.keys() - OF_THE_COMMAND_LINE


def test_every_property_is_one_of_a_write() -> None:
    assert Properties.__annotations__.keys() < PutOptions.__dataclass_fields__.keys()


def test_what_is_given_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HAUL_CONCURRENCY", "7")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    (tmp_path / "haul.toml").write_text('part_size = "16MiB"')
    settings = AsyncClient(concurrency=9, region=None).settings
    assert settings.concurrency == 9
    assert settings.region == "eu-west-1"
    assert settings.part_size == 16 * 1024**2
    assert settings.origins["region"] == "AWS_REGION"


@pytest.mark.parametrize(
    ("name", "value"),
    [("concurrency", 0), ("concurrency", "many"), ("part_size", 1), ("addressing", "side"), ("use_fips", 2)],
)
def test_a_value_that_is_not_allowed_is_named_as_it_was_given(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{name}={value!r} is not allowed") as caught:
        resolve_settings({name: value})
    assert caught.value.hint.startswith("give ")


def test_an_unknown_setting_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="no setting 'colour'"):
        AsyncClient(colour="blue")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="no setting 'json'"):
        resolve_settings({"json": True})


@pytest.mark.parametrize(
    ("keys", "anonymous", "message"),
    [
        (("a", "", ""), False, "belong together"),
        (("", "b", ""), False, "belong together"),
        (("", "", "t"), False, "belong together"),
        (("a", "b", ""), True, "keys were given"),
    ],
)
def test_keys_that_do_not_belong_together_are_refused(
    keys: tuple[str, str, str], anonymous: bool, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_keys(*keys, Settings(no_sign_request=anonymous))


def test_keys_may_be_left_out() -> None:
    assert not check_keys("", "", "", Settings())
    assert check_keys("a", "b", "t", Settings())


def test_a_secret_shows_nowhere() -> None:
    client = AsyncClient(access_key="AKID", secret_key="very-secret", session_token="token")
    assert "very-secret" not in repr(client) + repr(client.settings)


def test_properties_become_the_options_of_a_write() -> None:
    moment = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    options = put_options({"expires": moment, "metadata": {"a": "b"}}, "dir/name.json")
    assert options.expires == "Wed, 02 Jan 2030 03:04:05 GMT"
    assert options.metadata == {"a": "b"}
    assert options.content_type == "application/json"
    assert put_options({"expires": "0", "content_type": "text/x"}, "name.json") == PutOptions(
        expires="0", content_type="text/x"
    )


def test_durations() -> None:
    assert seconds_of(90) == 90
    assert seconds_of(timedelta(minutes=2)) == 120


@pytest.mark.parametrize(
    ("include", "exclude", "accepted"),
    [
        ((), (), {"a.txt", "b.log", "c/d.log"}),
        ("*.log", (), {"b.log", "c/d.log"}),
        ((), ["*.log"], {"a.txt"}),
        (["*.log"], ["c/*"], {"b.log"}),
    ],
)
def test_patterns(include: Any, exclude: Any, accepted: set[str]) -> None:
    accepts = filter_of(include, exclude).accepts
    assert {path for path in ("a.txt", "b.log", "c/d.log") if accepts(path)} == accepted


def test_checksums_can_be_left_out() -> None:
    assert checksum_algorithm(Settings()) == "CRC64NVME"
    assert checksum_algorithm(Settings(request_checksum_calculation="when_required")) == "none"


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({"metadata": {"a": 1}}, "metadata={'a': 1}"),
        ({"tags": ["a"]}, "tags=['a']"),
        ({"grants": {1: "x"}}, "grants={1: 'x'}"),
        ({"content_type": None}, "content_type=None"),
        ({"expires": 5}, "expires=5"),
    ],
)
def test_a_property_of_another_kind_is_named(properties: Any, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        put_options(properties)
    assert str(caught.value) == f"{named} is not allowed"
    assert caught.value.hint.startswith("give ")


@pytest.mark.parametrize("span", ["0-1", 5, (1,), ("0", "1"), (None, 3)])
def test_a_range_that_is_no_pair_of_numbers_is_named(span: Any) -> None:
    with pytest.raises(ConfigError, match="range=") as caught:
        byte_range(span)
    assert "(start, end)" in caught.value.hint


def test_a_range_is_a_pair_or_a_byte_range() -> None:
    assert byte_range((1, 3)) == ByteRange(1, 3)
    assert byte_range((-5, None)) == byte_range(ByteRange(-5)) == ByteRange(-5)
    assert byte_range(None) is None
