"""Credentials: botocore's choice, found without it where that is certain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING
from unittest import mock

import botocore.exceptions
import botocore.session
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from haulyard.errors import ConfigError, S3CredentialsError
from haulyard.s3.credentials import Credentials, CredentialsProvider, _translate, read_static

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

NOW = 1_700_000_000.0

PAIR = {"aws_access_key_id": "AKF", "aws_secret_access_key": "SKF"}
OPTIONS = st.dictionaries(
    st.sampled_from(
        [
            "aws_session_token",
            "aws_security_token",
            "role_arn",
            "source_profile",
            "credential_process",
            "web_identity_token_file",
            "region",
        ]
    ),
    st.sampled_from(["default", "false", "x"]),
    max_size=2,
)
SECTION = st.tuples(st.sampled_from([PAIR, {}, {"aws_access_key_id": "HALF"}]), OPTIONS).map(
    lambda both: both[0] | both[1]
)
SECTIONS = st.dictionaries(st.sampled_from(["default", "other"]), SECTION)
ENVIRON = st.fixed_dictionaries(
    {},
    optional={
        "AWS_ACCESS_KEY_ID": st.sampled_from(["AKE", ""]),
        "AWS_SECRET_ACCESS_KEY": st.sampled_from(["SKE", ""]),
        "AWS_SESSION_TOKEN": st.sampled_from(["TOKEN", ""]),
        "AWS_SECURITY_TOKEN": st.just("OLD"),
        "AWS_PROFILE": st.sampled_from(["default", "other", "absent", ""]),
        "AWS_DEFAULT_PROFILE": st.sampled_from(["other"]),
        "AWS_WEB_IDENTITY_TOKEN_FILE": st.just("/nonexistent/token"),
        "AWS_ROLE_ARN": st.just("arn:aws:iam::123456789012:role/x"),
        "AWS_CREDENTIAL_EXPIRATION": st.sampled_from(["2033-05-18T03:33:20Z", "2033-05-18", "soon"]),
    },
)


def ini(sections: dict[str, dict[str, str]], prefix: str = "") -> str:
    lines = []
    for name, section in sections.items():
        lines.append(f"[{prefix}{name}]" if name != "default" else "[default]")
        lines.extend(f"{option} = {value}" for option, value in section.items())
    return "\n".join(lines)


@settings(max_examples=300, deadline=None)
@given(
    environ=ENVIRON,
    config=SECTIONS,
    credentials=SECTIONS,
    profile=st.sampled_from(["", "", "default", "other", "absent"]),
)
def test_what_is_read_lightly_is_what_botocore_would_choose(
    tmp_path_factory: pytest.TempPathFactory,
    environ: dict[str, str],
    config: dict[str, dict[str, str]],
    credentials: dict[str, dict[str, str]],
    profile: str,
) -> None:
    folder = tmp_path_factory.getbasetemp()
    (folder / "config").write_text(ini(config, "profile "))
    (folder / "credentials").write_text(ini(credentials))
    environ = environ | {
        "HOME": str(folder),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
    }
    try:
        ours = read_static(environ, profile)
    except ConfigError:
        with (
            mock.patch.dict(os.environ, environ, clear=True),
            pytest.raises(botocore.exceptions.ProfileNotFound),
        ):
            botocore.session.Session(profile=profile or None).get_credentials()
        return
    if ours is None:
        return
    with mock.patch.dict(os.environ, environ, clear=True):
        theirs = botocore.session.Session(profile=profile or None).get_credentials()
        assert theirs is not None
        assert theirs.method == ours.provider
        frozen = theirs.get_frozen_credentials()
    assert (frozen.access_key, frozen.secret_key, frozen.token or "") == (
        ours.access_key,
        ours.secret_key,
        ours.token,
    )
    expiry = getattr(theirs, "_expiry_time", None)
    assert ours.expires_at == (expiry.timestamp() if expiry else None)


def write_files(folder: Path, config: str = "", credentials: str = "") -> dict[str, str]:
    (folder / "config").write_text(config)
    (folder / "credentials").write_text(credentials)
    return {
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
    }


SSO = """
[default]
sso_session = s
sso_account_id = 1
sso_role_name = r
[sso-session s]
sso_region = us-east-1
sso_start_url = https://sso.example
"""
MFA = """
[default]
role_arn = arn:aws:iam::1:role/r
source_profile = base
mfa_serial = arn:aws:iam::1:mfa/x
"""
KEYS = "aws_access_key_id = AKF\naws_secret_access_key = SKF\n"


@pytest.mark.parametrize(
    ("config", "credentials", "environ", "provider"),
    [
        ("", "", {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S"}, "env"),
        ("", f"[default]\n{KEYS}", {}, "shared-credentials-file"),
        (f"[profile p]\n{KEYS}", "", {"AWS_PROFILE": "p"}, "config-file"),
        ("[default]\ncredential_process = x", f"[default]\n{KEYS}", {}, "shared-credentials-file"),
    ],
)
def test_static_keys_are_found_without_importing_botocore(
    tmp_path: Path, config: str, credentials: str, environ: dict[str, str], provider: str
) -> None:
    code = (
        "import asyncio, sys; from haulyard.s3.credentials import CredentialsProvider; "
        "found = asyncio.run(CredentialsProvider().get(0)); "
        "print(found.provider, [name for name in ('botocore', 'anyio') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**write_files(tmp_path, config, credentials), **environ, "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"{provider} []"


@pytest.mark.parametrize(
    "section",
    ["role_arn = x", "sso_session = x", "sso_start_url = x", "web_identity_token_file = x"],
)
def test_a_profile_with_a_role_or_sso_is_left_to_botocore(tmp_path: Path, section: str) -> None:
    assert read_static(write_files(tmp_path, f"[default]\n{section}\n", f"[default]\n{KEYS}")) is None


@pytest.mark.parametrize("section", ["credential_process = x", "login_session = x"])
def test_a_process_or_login_comes_before_keys_of_the_config_file(tmp_path: Path, section: str) -> None:
    assert read_static(write_files(tmp_path, f"[default]\n{section}\n{KEYS}")) is None


def test_an_explicit_profile_wins_over_the_environment_and_aws_profile_does_not(tmp_path: Path) -> None:
    environ = {
        "AWS_ACCESS_KEY_ID": "AKE",
        "AWS_SECRET_ACCESS_KEY": "SKE",
        "AWS_PROFILE": "p",
        **write_files(tmp_path, "", f"[p]\n{KEYS}"),
    }
    assert read_static(environ) == Credentials("AKE", "SKE", provider="env")
    assert read_static(environ, "p") == Credentials("AKF", "SKF", provider="shared-credentials-file")


def test_a_profile_that_a_setting_names_wins_over_that_of_the_environment_and_not_over_keys(
    tmp_path: Path,
) -> None:
    environ = {
        "AWS_PROFILE": "p",
        **write_files(tmp_path, "", f"[p]\n{KEYS}\n[q]\n{KEYS.replace('AKF', 'AKQ')}"),
    }
    assert read_static(environ, named="q") == Credentials("AKQ", "SKF", provider="shared-credentials-file")
    keys = {"AWS_ACCESS_KEY_ID": "AKE", "AWS_SECRET_ACCESS_KEY": "SKE"}
    assert read_static(environ | keys, named="q") == Credentials("AKE", "SKE", provider="env")


def test_secrets_do_not_show() -> None:
    text = repr(Credentials("AKID", "SECRET", "TOKEN", 1.0, "env"))
    assert "SECRET" not in text
    assert "TOKEN" not in text
    assert "AKID" in text


@pytest.fixture
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Give botocore an environment of its own: no keys, no metadata service, these files."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def write(config: str, credentials: str) -> None:
        for name, value in write_files(tmp_path, config, credentials).items():
            monkeypatch.setenv(name, value)

    write("", "")
    return write


def process(folder: Path, answers: list[dict[str, object]]) -> str:
    """Return a credential_process that gives one answer after the other."""
    script = folder / "process.py"
    script.write_text(
        "import json, pathlib, sys\n"
        f"count = pathlib.Path({str(folder / 'count')!r})\n"
        "number = int(count.read_text()) if count.exists() else 0\n"
        "count.write_text(str(number + 1))\n"
        f"print(json.dumps(json.loads({json.dumps(answers)!r})[number]))\n"
    )
    return f"[default]\ncredential_process = {sys.executable} {script}\n"


async def test_a_process_is_run_by_botocore_and_run_again_when_rejected(
    tmp_path: Path, isolated: Callable[[str, str], None]
) -> None:
    answers: list[dict[str, object]] = [
        {
            "Version": 1,
            "AccessKeyId": name,
            "SecretAccessKey": "S",
            "SessionToken": "T",
            "Expiration": "2033-05-18T03:33:20Z",
        }
        for name in ("first", "second")
    ]
    isolated(process(tmp_path, answers), "")
    provider = CredentialsProvider()
    first = await provider.get(NOW)
    assert first == Credentials("first", "S", "T", 2_000_000_000.0, "custom-process")
    second = await provider.refresh(first)
    assert second is not None
    assert second.access_key == "second"


async def test_botocore_is_asked_for_the_profile_that_a_setting_names(
    tmp_path: Path, isolated: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer: dict[str, object] = {"Version": 1, "AccessKeyId": "named", "SecretAccessKey": "S"}
    config = process(tmp_path, [answer]).replace("[default]", "[profile named]")
    isolated(f"{config}\n[default]\ncredential_process = {sys.executable} -c 1/0\n", "")
    monkeypatch.setenv("AWS_PROFILE", "default")
    found = await CredentialsProvider(named="named").get(NOW)
    assert (found and found.access_key) == "named"
    # Half a pair of keys in the environment is complained of, with or without a profile.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "half")
    with pytest.raises(S3CredentialsError, match="AWS_SECRET_ACCESS_KEY"):
        await CredentialsProvider(named="named").get(NOW)


@pytest.mark.parametrize(
    ("config", "variables", "error", "says"),
    [
        ("", {}, S3CredentialsError, "no AWS credentials were found"),
        ("", {"AWS_ACCESS_KEY_ID": "A"}, S3CredentialsError, "AWS_SECRET_ACCESS_KEY"),
        ("[default]\ncredential_process = /nonexistent/x\n", {}, S3CredentialsError, "could not be got"),
        (
            f"[default]\ncredential_process = {sys.executable} -c 1/0\n",
            {},
            S3CredentialsError,
            "could not be got",
        ),
        ("", {"AWS_PROFILE": "absent"}, ConfigError, "absent"),
        ("[default]\nrole_arn = x\nsource_profile = absent\n", {}, ConfigError, "absent"),
        (
            "",
            {"AWS_WEB_IDENTITY_TOKEN_FILE": "/nonexistent/token", "AWS_ROLE_ARN": "arn:aws:iam::1:role/r"},
            S3CredentialsError,
            "/nonexistent/token",
        ),
        (
            SSO,
            {},
            S3CredentialsError,
            "SSO",
        ),
    ],
)
async def test_what_botocore_raises_becomes_ours(
    isolated: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    config: str,
    variables: dict[str, str],
    error: type[Exception],
    says: str,
) -> None:
    isolated(config, "")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(error, match=says) as caught:
        await CredentialsProvider().get(NOW)
    assert getattr(caught.value, "hint", "")


async def test_a_role_with_mfa_is_not_asked_for_in_mid_run(isolated: Callable[[str, str], None]) -> None:
    isolated(MFA, f"[base]\n{KEYS}")
    provider = CredentialsProvider()
    with mock.patch("getpass.getpass", side_effect=AssertionError("asked")):
        provider._botocore._open(again=False)
        with pytest.raises(S3CredentialsError, match="MFA"):
            await provider.refresh()


async def test_a_role_is_assumed_by_botocore(
    isolated: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    isolated(
        "[default]\nregion = us-east-1\nsource_profile = base\nrole_arn = arn:aws:iam::123456789012:role/r\n",
        f"[base]\n{KEYS}",
    )
    sts = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    sts.start()
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://{}:{}".format(*sts.get_host_and_port()))
        found = await CredentialsProvider().get(NOW)
    finally:
        sts.stop()
    assert found is not None
    assert found.provider == "assume-role"
    assert found.token
    assert found.expires_at is not None
    assert found.expires_at > NOW


async def test_sts_is_asked_in_the_region_of_aws_region_and_without_any_that_is_said(
    isolated: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    isolated(
        "[default]\nsource_profile = base\nrole_arn = arn:aws:iam::123456789012:role/r\n", f"[base]\n{KEYS}"
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
    with pytest.raises(S3CredentialsError, match="in a region, which is not set") as caught:
        await CredentialsProvider().get(NOW)
    assert "AWS_REGION" in caught.value.hint
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    chain = CredentialsProvider()._botocore
    chain._open(again=False)
    assert chain._session.get_config_variable("region") == "eu-central-1"


@pytest.mark.parametrize("expiration", ["soon", "2033-05-18", "2033-05-18T03:33:20"])
def test_an_expiration_that_is_no_moment_is_left_to_botocore(expiration: str) -> None:
    environ = {
        "AWS_CONFIG_FILE": "/nonexistent/a",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/b",
        "AWS_ACCESS_KEY_ID": "A",
        "AWS_SECRET_ACCESS_KEY": "S",
        "AWS_CREDENTIAL_EXPIRATION": expiration,
    }
    assert read_static(environ) is None


def test_keys_in_the_shape_of_a_block_are_left_to_botocore(tmp_path: Path) -> None:
    block = "[default]\naws_access_key_id = A\naws_secret_access_key =\n  a = b\n"
    assert read_static(write_files(tmp_path, "", block)) is None


@pytest.mark.parametrize(
    ("provider", "says"), [("sso", "aws sso login"), ("env", "export"), ("iam-role", "renew the credentials")]
)
async def test_what_renews_credentials_depends_on_where_they_came_from(provider: str, says: str) -> None:
    keys = Credentials("A", "S", "T", NOW - 1, provider)
    with pytest.raises(S3CredentialsError, match="have expired") as caught:
        await CredentialsProvider(fixed=keys).get(NOW)
    assert says in caught.value.hint


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (botocore.exceptions.RefreshWithMFAUnsupportedError(), "", "new code"),
        (
            botocore.exceptions.ClientError(
                {"Error": {"Code": "AccessDenied", "Message": "no"}}, "AssumeRole"
            ),
            "AccessDenied",
            "AWS_ACCESS_KEY_ID",
        ),
        (KeyError("Credentials"), "", "AWS_ACCESS_KEY_ID"),
    ],
)
def test_a_failure_of_the_source_says_what_to_do(error: Exception, code: str, says: str) -> None:
    found = _translate(error)
    assert isinstance(found, S3CredentialsError)
    assert (found.code, says in found.hint) == (code, True)
