"""Settings: where a value comes from, which source wins, and what is said of a value that cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.config import PROCESSING, SETTINGS, ProcessSettings, Settings, resolve, resolve_owned
from haulyard.config.ends import ENDS, ends_of, with_ends
from haulyard.config.files import parse_dotenv
from haulyard.config.kinds import parse_duration, parse_flag, parse_rate, parse_size
from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROFILES: Mapping[str, Mapping[str, object]] = {
    "": {"region": "from-default-profile"},
    "dev": {"region": "from-dev", "endpoint_url": "http://dev:1", "use_fips_endpoint": True},
}


def settings(
    cwd: Path,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    return resolve(flags or {}, environ or {}, str(cwd), lambda _, name: PROFILES[name])


def test_each_source_gives_way_to_the_stronger_one(tmp_path: Path) -> None:
    flags: dict[str, object] = {"region": "flag"}
    environ = {"HAUL_REGION": "haul", "AWS_REGION": "aws", "AWS_DEFAULT_REGION": "aws-default"}
    (tmp_path / ".env").write_text("HAUL_REGION=dotenv-haul\nAWS_REGION=dotenv-aws\n")
    (tmp_path / "haul.toml").write_text('region = "toml"\n')
    seen = []
    steps: list[tuple[str, object]] = [
        ("--region", flags),
        ("HAUL_REGION", environ),
        ("AWS_REGION", environ),
        ("AWS_DEFAULT_REGION", environ),
    ]
    for origin, _ in steps:
        found = settings(tmp_path, flags, environ)
        seen.append((found.region, found.origins["region"]))
        if origin == "--region":
            flags.clear()
        else:
            del environ[origin]
    seen.append((settings(tmp_path).region, settings(tmp_path).origins["region"]))
    (tmp_path / ".env").write_text("AWS_REGION=dotenv-aws\n")
    seen.append((settings(tmp_path).region, settings(tmp_path).origins["region"]))
    (tmp_path / ".env").unlink()
    seen.append((settings(tmp_path).region, settings(tmp_path).origins["region"]))
    (tmp_path / "haul.toml").unlink()
    seen.append((settings(tmp_path).region, settings(tmp_path).origins["region"]))
    seen.append((resolve({}, {}, str(tmp_path)).region, resolve({}, {}, str(tmp_path)).origins["region"]))
    assert seen == [
        ("flag", "--region"),
        ("haul", "HAUL_REGION"),
        ("aws", "AWS_REGION"),
        ("aws-default", "AWS_DEFAULT_REGION"),
        ("dotenv-haul", ".env (HAUL_REGION)"),
        ("dotenv-aws", ".env (AWS_REGION)"),
        ("toml", "haul.toml"),
        ("from-default-profile", "profile default"),
        ("", "default"),
    ]


def test_an_empty_variable_counts_as_unset(tmp_path: Path) -> None:
    assert settings(tmp_path, environ={"HAUL_REGION": "", "AWS_REGION": "eu-west-1"}).region == "eu-west-1"


def test_the_s3_endpoint_goes_before_the_general_one(tmp_path: Path) -> None:
    environ = {"AWS_ENDPOINT_URL": "http://all:1", "AWS_ENDPOINT_URL_S3": "http://s3:2/"}
    assert settings(tmp_path, environ=environ).endpoint_url == "http://s3:2"
    ignoring = {**environ, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
    assert settings(tmp_path, environ=ignoring).endpoint_url == ""


def test_the_profile_that_was_chosen_gives_its_values(tmp_path: Path) -> None:
    found = settings(tmp_path, {"profile": "dev"})
    assert (found.region, found.endpoint_url, found.use_fips) == ("from-dev", "http://dev:1", True)
    assert found.origins["use_fips"] == "profile dev"
    assert found.profile_chosen
    assert not settings(tmp_path, environ={"AWS_PROFILE": "dev"}).profile_chosen


def test_the_source_side_takes_its_own_profile_and_else_the_destination(tmp_path: Path) -> None:
    plain = settings(tmp_path, {"region": "r1", "endpoint_url": "http://one:1"})
    assert plain.for_source() is plain
    other = settings(tmp_path, {"region": "r1", "endpoint_url": "http://one:1", "source_profile": "dev"})
    source = other.for_source()
    assert (source.profile, source.region, source.endpoint_url) == ("dev", "from-dev", "http://dev:1")
    assert source.profile_chosen
    endpoint = settings(tmp_path, {"region": "r1", "source_endpoint_url": "http://two:2"}).for_source()
    assert (endpoint.region, endpoint.endpoint_url, endpoint.profile) == ("r1", "http://two:2", "")


def test_texts_of_flags_are_read_by_their_kind(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        {"part_size": "16MiB", "bwlimit": "10M/s", "concurrency": "8", "verify_ssl": False, "retries": None},
    )
    assert (found.part_size, found.bwlimit, found.concurrency) == (16 * 1024**2, 10 * 1024**2, 8)
    assert found.verify_ssl is False
    assert found.retries == Settings().retries
    assert settings(tmp_path, {"part_size": "auto"}).part_size == 0


@pytest.mark.parametrize(
    ("flags", "environ", "place", "allowed"),
    [
        ({"part_size": "1MiB"}, {}, "--part-size: '1MiB'", "5MiB to 5GiB"),
        ({}, {"HAUL_CONCURRENCY": "many"}, "HAUL_CONCURRENCY: 'many'", "1 to 10000"),
        ({}, {"MAX_RETRIES": "0"}, "MAX_RETRIES: '0'", "1 to 1000"),
        ({}, {"RETRY_BASE_DELAY": "soon"}, "RETRY_BASE_DELAY: 'soon'", "1h30m"),
        ({}, {"AWS_ENDPOINT_URL": "localhost:9000"}, "AWS_ENDPOINT_URL: 'localhost:9000'", "http://"),
        ({"addressing": "sideways"}, {}, "--addressing: 'sideways'", "auto, path, virtual"),
        ({"expected_bucket_owner": "me"}, {}, "--expected-bucket-owner: 'me'", "12 digits"),
        ({"verify_ssl": "perhaps"}, {}, "--no-verify-ssl: 'perhaps'", "true or false"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(
    tmp_path: Path, flags: dict[str, object], environ: dict[str, str], place: str, allowed: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, flags, environ)
    assert place in str(caught.value)
    assert allowed in caught.value.hint


def test_an_endpoint_with_a_password_is_refused_without_repeating_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, {"endpoint_url": "http://user:hunter2@host"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("region = \n", "haul.toml: Invalid value (at line 1, column 10)", "TOML"),
        ("\nregoin = 'x'\n", "haul.toml, line 2: regoin is not a setting", "did you mean region?"),
        ("[zzz]\nx = 1\n", "haul.toml, line 1: zzz is not a setting", "haul config"),
        ("concurrency = '8'\n", "haul.toml, line 1: concurrency: '8'", "1 to 10000"),
        ("json = 1\n", "haul.toml, line 1: json: 1", "true or false"),
        ("concurrency = true\n", "haul.toml, line 1: concurrency: True", "1 to 10000"),
        ("# first\nretry_base_delay = -1\n", "line 2: retry_base_delay: -1", "seconds"),
    ],
)
def test_a_broken_haul_toml_is_named_with_its_line(
    tmp_path: Path, text: str, message: str, hint: str
) -> None:
    (tmp_path / "haul.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path)
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_haul_toml_gives_values_in_its_own_types(tmp_path: Path) -> None:
    (tmp_path / "haul.toml").write_text(
        "json = true\nretry_base_delay = 0.5\npart_size = '8MiB'\nbwlimit = 100\n"
    )
    found = settings(tmp_path)
    assert (found.json, found.retry_base_delay, found.part_size, found.bwlimit) == (
        True,
        0.5,
        8 * 1024**2,
        100,
    )


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "haul.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        settings(tmp_path)
    (tmp_path / "haul.toml").unlink()
    (tmp_path / ".env").symlink_to(".env")
    with pytest.raises(ConfigError, match=r"\.env cannot be read"):
        settings(tmp_path)


def test_a_virtual_environment_called_env_is_no_file_of_settings(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert settings(tmp_path).region == "from-default-profile"


def test_a_wrong_value_in_dotenv_is_named_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# ours\nHAUL_RETRIES=none\n")
    with pytest.raises(ConfigError, match=r"\.env, line 2: HAUL_RETRIES: 'none' is not allowed"):
        settings(tmp_path)


def test_dotenv_gives_the_credential_chain_its_variables_below_the_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AWS_ACCESS_KEY_ID=hidden\nAWS_SECRET_ACCESS_KEY=hidden\n")
    found = settings(tmp_path, environ={"AWS_ACCESS_KEY_ID": "process"})
    assert found.environment["AWS_ACCESS_KEY_ID"] == "process"
    assert found.environment["AWS_SECRET_ACCESS_KEY"] == "hidden"
    assert "hidden" not in repr(found)


def test_dotenv_understands_what_shells_and_docker_write() -> None:
    text = (
        'A=1\n  export B = two words # comment\nC=\'single # "kept"\'\nD="a\\n\\"b\\"" # c\n\n# E=no\n'
        'F="over\ntwo lines"\nG=\nnot a pair\nH=x#y\r\nI=\'open\nJ="it\'s"'
    )
    parsed = parse_dotenv(".env", text)
    assert parsed.values == {
        "A": "1",
        "B": "two words",
        "C": 'single # "kept"',
        "D": 'a\n"b"',
        "F": "over\ntwo lines",
        "G": "",
        "H": "x#y",
        "J": "it's",
    }
    assert parsed.unread == (10, 12)
    assert (parsed.lines["A"], parsed.lines["F"], parsed.lines["G"], parsed.lines["J"]) == (1, 7, 9, 13)


@given(st.text(alphabet="AB=\"'# \\\n\r\tx"))
def test_no_text_of_a_dotenv_breaks_its_reader(text: str) -> None:
    parsed = parse_dotenv(".env", text)
    assert all(1 <= line <= text.count("\n") + 1 for line in (*parsed.unread, *parsed.lines.values()))


def test_mistyped_variables_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("what is this\n")
    warnings = settings(tmp_path, environ={"HAUL_REGOIN": "x", "HAUL_QQQQ": "y", "HAULX": "z"}).warnings
    assert warnings == (
        "HAUL_REGOIN is not a variable of Haulyard; did you mean HAUL_REGION?",
        "HAUL_QQQQ is not a variable of Haulyard",
        ".env, line 1 is not NAME=value and was passed over",
    )


def test_state_lives_where_xdg_says(tmp_path: Path) -> None:
    assert settings(tmp_path, environ={"HOME": "/h"}).state_dir == "/h/.local/state/haulyard"
    assert settings(tmp_path, environ={"HOME": "/h", "XDG_STATE_HOME": "/s"}).state_dir == "/s/haulyard"
    relative = settings(tmp_path, environ={"HOME": "/h", "XDG_STATE_HOME": "s"})
    assert relative.state_dir == "/h/.local/state/haulyard"
    assert Settings().state_dir.endswith("/haulyard")


def test_the_environment_names_of_the_documents_are_there() -> None:
    names = {name for setting in SETTINGS.values() for name in setting.names}
    assert {"MAX_RETRIES", "RETRY_BASE_DELAY", "AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_REGION"} <= names
    assert all(setting.help and setting.flag.startswith("--") for setting in SETTINGS.values())


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("8MiB", 8 * 1024**2),
        ("8M", 8 * 1024**2),
        ("8Mi", 8 * 1024**2),
        ("8MB", 8_000_000),
        ("5G", 5 * 1024**3),
        ("1.5 KiB", 1536),
        ("2tb", 2 * 10**12),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "8 bananas", "-1", "1iB", "1.2.3", "GiB", "1e9"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90.0), ("1.5", 1.5), ("250ms", 0.25), ("1h30m", 5400.0), ("7d", 604800.0), ("1m30s", 90.0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "1h 30m", "5x", "-3", "h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_duration(text)


def test_rates_and_flags() -> None:
    assert parse_rate("1M/s") == 1024**2
    assert [parse_flag(text) for text in ("yes", "ON", "1", "off", "No", "false")] == [True] * 3 + [False] * 3


# The settings of one command.


def owned(
    cwd: Path, flags: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None
) -> tuple[dict[str, object], dict[str, str]]:
    return resolve_owned(PROCESSING, flags or {}, environ or {}, str(cwd))


def test_settings_of_a_command_are_those_that_were_given_and_say_by_what(tmp_path: Path) -> None:
    assert owned(tmp_path) == ({}, {})
    (tmp_path / "haul.toml").write_text("batch_size = 7\nmax_in_flight = 8\nrate_limit_period = 0.5\n")
    (tmp_path / ".env").write_text("MAX_WORKERS=9\nS3_BUCKET=b\nAPI_ENDPOINT=https://x/${TOKEN}\n")
    environ = {"HAUL_S3_BUCKET": "c", "S3_BUCKET": "d", "S3_KEY": "", "CHUNK_SIZE": "64KiB"}
    values, origins = owned(tmp_path, {"chunk_size": None, "rate_limit_calls": "10"}, environ)
    assert values == {
        "s3_bucket": "c",
        "api_endpoint": "https://x/${TOKEN}",
        "batch_size": 7,
        "max_in_flight": 9,
        "rate_limit_calls": 10,
        "rate_limit_period": 0.5,
        "chunk_size": 65_536,
    }
    assert origins == {
        "s3_bucket": "HAUL_S3_BUCKET",
        "api_endpoint": ".env (API_ENDPOINT)",
        "batch_size": "haul.toml",
        "max_in_flight": ".env (MAX_WORKERS)",
        "rate_limit_calls": "--rate-limit-calls",
        "rate_limit_period": "haul.toml",
        "chunk_size": "CHUNK_SIZE",
    }


def test_the_defaults_of_processing_are_those_of_its_documentation() -> None:
    defaults = ProcessSettings()
    assert (defaults.batch_size, defaults.max_in_flight, defaults.chunk_size) == (1000, 0, 8192)
    assert (defaults.rate_limit_calls, defaults.rate_limit_period) == (5000, 1.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("S3_BUCKET", "my bucket"),
        ("S3_BUCKET", "s3://b"),
        ("S3_BUCKET", "b/key"),
        ("API_ENDPOINT", "https://"),
        ("API_ENDPOINT", "https:///path"),
        ("API_ENDPOINT", "https://x/a b"),
        ("API_ENDPOINT", "x.example.com"),
        ("BATCH_SIZE", "0"),
        ("BATCH_SIZE", "1.5"),
        ("MAX_WORKERS", "-1"),
        ("RATE_LIMIT_CALLS", "-1"),
        ("RATE_LIMIT_CALLS", "1e3"),
        ("RATE_LIMIT_PERIOD", "0"),
        ("RATE_LIMIT_PERIOD", "-1"),
        ("RATE_LIMIT_PERIOD", "a while"),
        ("CHUNK_SIZE", "0"),
    ],
)
def test_a_malformed_setting_of_a_command_stops_that_command_alone(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: '") as caught:
        owned(tmp_path, environ={name: value})
    assert caught.value.hint.startswith("give ")
    assert not settings(tmp_path, environ={name: value}).warnings


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("s3_bucket", " my.bucket-1 ", "my.bucket-1"),
        (
            "s3_bucket",
            "arn:aws:s3:eu-west-1:123456789012:accesspoint/a",
            "arn:aws:s3:eu-west-1:123456789012:accesspoint/a",
        ),
        ("api_endpoint", " HTTPS://x ", "HTTPS://x"),
        ("api_endpoint", "${API}/people", "${API}/people"),
        ("rate_limit_calls", "0", 0),
        ("rate_limit_period", "1m", 60.0),
        ("rate_limit_period", "1d", 86_400.0),
    ],
)
def test_what_settings_of_processing_may_look_like(
    tmp_path: Path, name: str, value: str, read: object
) -> None:
    assert owned(tmp_path, {name: value})[0] == {name: read}


def test_haul_toml_may_have_settings_of_a_command_and_no_misspelt_ones(tmp_path: Path) -> None:
    (tmp_path / "haul.toml").write_text('api_endpoint = "nonsense"\n')
    settings(tmp_path)
    (tmp_path / "haul.toml").write_text('api_endpiont = "https://x/"\n')
    with pytest.raises(ConfigError, match="line 1: api_endpiont is not a setting") as caught:
        settings(tmp_path)
    assert caught.value.hint == "did you mean api_endpoint?"


def test_variables_of_a_command_are_known(tmp_path: Path) -> None:
    assert settings(tmp_path, environ={"HAUL_API_ENDPOINT": "https://x/"}).warnings == ()


def test_what_may_be_a_secret_is_not_repeated(tmp_path: Path) -> None:
    for value in ("ftp://me:hunter2@x/", "x.example.com/?token=hunter2"):
        with pytest.raises(ConfigError, match="API_ENDPOINT: the value is not allowed") as caught:
            owned(tmp_path, environ={"API_ENDPOINT": value})
        assert "hunter2" not in str(caught.value)


# What a job remembers.


def test_a_job_goes_on_with_the_store_that_it_began_with(tmp_path: Path) -> None:
    began = settings(tmp_path, environ={"HAUL_ENDPOINT_URL": "http://one:1", "HAUL_REGION": "r1"})
    later = settings(tmp_path, {"region": "r2"}, {"HAUL_ENDPOINT_URL": "http://other:2"})
    found = with_ends(later, ends_of(began), concurrency=7)
    assert (found.endpoint_url, found.region, found.concurrency) == ("http://one:1", "r2", 7)
    assert set(ends_of(began)) == set(ENDS)


def test_the_profile_of_a_job_goes_before_keys_in_the_environment(tmp_path: Path) -> None:
    began = settings(tmp_path, {"profile": "dev"})
    later = settings(tmp_path)
    assert with_ends(later, ends_of(began)).origins["profile"] == "--profile"
    assert with_ends(later, ends_of(later)).origins["profile"] == later.origins["profile"]
