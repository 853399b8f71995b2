"""The shared files, read as botocore reads them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from unittest import mock

import botocore.exceptions
import botocore.session
import pytest

from haulyard.errors import ConfigError
from haulyard.s3.profile import Profile, profile_name, read_files, read_profile

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
[default]
region = eu-west-1

[profile full]
region = us-west-2
endpoint_url = https://all.example
services = local
use_fips_endpoint = TRUE
use_dualstack_endpoint = false
request_checksum_calculation = when_required
response_checksum_validation = when_required
ca_bundle = /etc/ca.pem
s3 =
    addressing_style = virtual
    use_accelerate_endpoint = true
    use_dualstack_endpoint = true

[profile "two words"]
region = ap-south-1

[profile ignoring]
endpoint_url = https://all.example
ignore_configured_endpoint_urls = true

[profile both]
region = from-config
output = json

[services local]
s3 =
    endpoint_url = https://s3.example
dynamodb =
    endpoint_url = https://ddb.example

[preview]
cloudfront = true
"""
CREDENTIALS = """
[both]
region = from-credentials

[only-here]
aws_access_key_id = AKID
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "config").write_text(CONFIG)
    (tmp_path / "credentials").write_text(CREDENTIALS)
    return {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "HOME": str(tmp_path),
    }


def test_a_profile_says_everything_about_s3(environ: dict[str, str]) -> None:
    assert read_profile(environ, "full") == Profile(
        name="full",
        region="us-west-2",
        endpoint_url="https://s3.example",
        addressing_style="virtual",
        use_accelerate_endpoint=True,
        use_dualstack_endpoint=True,
        use_fips_endpoint=True,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        ca_bundle="/etc/ca.pem",
    )


def test_without_a_name_the_default_profile_speaks(environ: dict[str, str]) -> None:
    assert read_profile(environ) == Profile(region="eu-west-1")


def test_a_quoted_name_may_hold_a_space(environ: dict[str, str]) -> None:
    assert read_profile(environ, "two words").region == "ap-south-1"


def test_the_environment_names_a_profile_and_a_flag_another(environ: dict[str, str]) -> None:
    environ["AWS_PROFILE"] = "full"
    assert read_profile(environ).region == "us-west-2"
    assert read_profile(environ, "both").region == "from-credentials"
    environ["AWS_DEFAULT_PROFILE"] = "both"
    assert profile_name(environ) == "both"


def test_configured_endpoints_can_be_ignored(environ: dict[str, str]) -> None:
    assert read_profile(environ, "ignoring").endpoint_url == ""
    environ["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"] = "true"
    assert read_profile(environ, "full").endpoint_url == ""


def test_without_files_there_is_an_empty_default() -> None:
    nowhere = {"AWS_CONFIG_FILE": "/nonexistent/a", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/b"}
    assert read_profile(nowhere) == Profile()


def test_an_empty_aws_profile_is_a_profile_that_does_not_exist(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="''"):
        read_profile({**environ, "AWS_PROFILE": ""})


@pytest.mark.parametrize("source", ["argument", "environment"])
def test_a_profile_that_was_asked_for_must_exist(environ: dict[str, str], source: str) -> None:
    if source == "environment":
        environ["AWS_PROFILE"] = "absent"
    with pytest.raises(ConfigError, match="'absent'") as caught:
        read_profile(environ, "absent" if source == "argument" else "")
    assert "only-here" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "aws_secret_access_key = SECRET\n",
        "[default]\nSECRET\n",
        "[default]\na = 1\na = SECRET\n",
        "[default]\n[default]\nb = SECRET\n",
        "[default]\ns3 =\n  SECRET\n",
        "[default]\nx = \udcff\n",
    ],
)
def test_a_broken_file_is_named_without_its_lines(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=str(path)) as caught:
        read_files({"AWS_CONFIG_FILE": str(path), "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"})
    assert "SECRET" not in str(caught.value)
    with (
        pytest.raises(botocore.exceptions.ConfigParseError),
        mock.patch.dict(os.environ, AWS_CONFIG_FILE=str(path)),
    ):
        _ = botocore.session.Session().full_config


def test_a_section_whose_name_is_no_profile_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile 'open]\na = 1\n[profile a b]\na = 1\n[profile]\na = 1\n")
    files = read_files(
        {"AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
    )
    assert files.profiles == {}


def test_profiles_merge_as_in_botocore(environ: dict[str, str]) -> None:
    with mock.patch.dict(os.environ, environ):
        theirs = botocore.session.Session().full_config
    ours = read_files(environ)
    assert ours.profiles == theirs["profiles"]
    assert ours.services == theirs["services"]


def test_the_path_of_a_file_may_hold_variables_and_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[default]\nregion = here\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WHERE", str(tmp_path))
    for path in ("~/config", "$WHERE/config"):
        assert read_profile({"AWS_CONFIG_FILE": path, "AWS_SHARED_CREDENTIALS_FILE": "/x"}).region == "here"
