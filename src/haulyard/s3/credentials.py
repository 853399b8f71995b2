"""Whose requests they are: botocore's chain of credentials, at a fraction of its cost where it can be.

Keys from the environment and static keys of the shared files are read here. Everything else (roles, SSO,
web identity, processes, ECS, IMDS), and every case in which it is not certain what botocore would choose,
is left to botocore, in a thread.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from haulyard.errors import ConfigError, HaulError, S3CredentialsError
from haulyard.s3.profile import missing_profile, profile_name, read_files

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.s3.profile import Section

# Seconds before expiry at which one caller renews while the others go on, and at which all wait for it.
# The values are botocore's.
ADVISORY_SECONDS = 15 * 60
MANDATORY_SECONDS = 10 * 60
# After a renewal that failed or gave nothing newer, while the credentials still live.
_PAUSE_SECONDS = 30

# botocore alone, of all that AWS makes, does not know AWS_REGION; STS is asked in a region.
_REGION = ("region", ["AWS_REGION", "AWS_DEFAULT_REGION"], None, None)

MISSING_HINT = (
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, choose a profile with --profile or AWS_PROFILE, "
    "run `aws sso login` or `aws configure`, or read a public bucket with --no-sign-request"
)

# Options of a profile that make an earlier provider of botocore's chain answer than its static keys.
_BEFORE_SHARED_KEYS = frozenset({"role_arn", "web_identity_token_file"})
_BEFORE_CONFIG_KEYS = frozenset({"credential_process", "login_session"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """Keys that sign requests. Neither ``secret_key`` nor ``token`` ever shows in ``repr``.

    ``expires_at`` is in seconds since the epoch, None for keys that last. ``provider`` is botocore's name
    of where they came from (``env``, ``shared-credentials-file``, ``sso``, ``iam-role`` …).
    """

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires_at: float | None = None
    provider: str = "explicit"


class CredentialsProvider:
    """Credentials for each request: found at the first, renewed before they expire.

    ``profile`` is one that was asked for by a flag: as in botocore, it wins over keys in the environment.
    ``named`` is one that a setting names (AWS_PROFILE, HAUL_PROFILE, ``haul.toml`` …), which does not.
    ``fixed`` are keys given by the caller, ``anonymous`` means unsigned requests.
    Sharing one provider between tasks is what it is for: however many need new credentials, one fetches.
    """

    def __init__(
        self,
        *,
        profile: str = "",
        named: str = "",
        environ: Mapping[str, str] | None = None,
        fixed: Credentials | None = None,
        anonymous: bool = False,
    ) -> None:
        self.anonymous = anonymous
        self._profile = profile
        self._named = named
        self._environ = os.environ if environ is None else environ
        self._fixed = fixed
        self._current: Credentials | None = None
        self._retry_at = 0.0
        self._lock = asyncio.Lock()
        self._botocore = _BotocoreChain(profile, named)

    async def get(self, now: float) -> Credentials | None:
        """Return credentials that are valid at ``now`` (seconds since the epoch), None to sign nothing.

        Raises:
            S3CredentialsError: None were found, or they expired and could not be renewed.
            ConfigError: The profile does not exist or a shared file is broken.
        """
        current = self._current
        if current is not None and (
            current.expires_at is None or current.expires_at - now > ADVISORY_SECONDS
        ):
            return current
        if self.anonymous:
            return None
        return await self._renew(now, current)

    async def refresh(self, rejected: Credentials | None = None) -> Credentials | None:
        """Fetch anew, because the store answered ExpiredToken to ``rejected``; None to sign nothing.

        Where another task has replaced ``rejected`` meanwhile, that result is returned at once.

        Raises:
            S3CredentialsError: Their source has nothing newer.
        """
        if self.anonymous:
            return None
        async with self._lock:
            current = self._current
            if rejected is not None and current is not None and current != rejected:
                return current
            fresh = await self._fetch(again=True)
            if fresh in (rejected, current):
                raise S3CredentialsError(
                    f"the credentials have expired, and their source ({fresh.provider}) has no newer ones",
                    code="ExpiredToken",
                    hint=_renewal_hint(fresh.provider),
                )
            self._current = fresh
            return fresh

    async def _renew(self, now: float, current: Credentials | None) -> Credentials:
        if current is not None and current.expires_at is not None:
            left = current.expires_at - now
            if left > 0 and now < self._retry_at:
                return current
            if left > MANDATORY_SECONDS and self._lock.locked():
                return current
        async with self._lock:
            if self._current is not None and self._current is not current:
                return self._current
            try:
                fresh = await self._fetch()
                if fresh.expires_at is not None and fresh.expires_at <= now:
                    raise S3CredentialsError(
                        f"the credentials of {fresh.provider} have expired",
                        code="ExpiredToken",
                        hint=_renewal_hint(fresh.provider),
                    )
            except HaulError:
                if current is None or current.expires_at is None or current.expires_at <= now:
                    raise
                fresh = current
            if fresh.expires_at is not None and fresh.expires_at - now <= ADVISORY_SECONDS:
                self._retry_at = now + _PAUSE_SECONDS
            self._current = fresh
            return fresh

    async def _fetch(self, *, again: bool = False) -> Credentials:
        if self._fixed is not None:
            return self._fixed
        found = read_static(self._environ, self._profile, self._named)
        if found is not None:
            return found
        # Only here: the other sources need neither threads nor the half second that botocore takes.
        from anyio import to_thread

        return await to_thread.run_sync(lambda: self._botocore.fetch(again=again), abandon_on_cancel=True)


def read_static(environ: Mapping[str, str], profile: str = "", named: str = "") -> Credentials | None:
    """Return the static keys that botocore's chain would choose, None where only botocore can tell.

    ``profile`` is one that was asked for explicitly, ``named`` one that a setting names, else the environment
    names it. Its order: environment (not with an explicit profile), assumed role, web identity, SSO,
    credentials file, login, process, config file.

    Raises:
        ConfigError: The profile does not exist, or a file is not in INI form.
    """
    files = read_files(environ)
    wanted = profile or named or profile_name(environ)
    if wanted is not None and wanted not in files.profiles:
        raise missing_profile(wanted, files)
    if not profile and environ.get("AWS_ACCESS_KEY_ID"):
        return _from_environment(environ)
    name = wanted or "default"
    options = files.profiles.get(name, {}).keys()
    if options & _BEFORE_SHARED_KEYS or any(option.startswith("sso_") for option in options):
        return None
    if not profile and "AWS_WEB_IDENTITY_TOKEN_FILE" in environ:
        return None
    shared = files.credentials.get(name, {})
    if "aws_access_key_id" in shared:
        return _from_section(shared, "shared-credentials-file")
    if options & _BEFORE_CONFIG_KEYS:
        return None
    return _from_section(files.config.get(name, {}), "config-file")


def _from_environment(environ: Mapping[str, str]) -> Credentials | None:
    """Return the environment's keys; None for half a pair, of which botocore complains best."""
    secret_key = environ.get("AWS_SECRET_ACCESS_KEY", "")
    if not secret_key:
        return None
    expires_at = None
    expiration = environ.get("AWS_CREDENTIAL_EXPIRATION", "")
    if expiration:
        from datetime import datetime

        try:
            moment = datetime.fromisoformat(expiration)
        except ValueError:
            return None
        if moment.tzinfo is None:
            return None
        expires_at = moment.timestamp()
    token = environ.get("AWS_SECURITY_TOKEN") or environ.get("AWS_SESSION_TOKEN") or ""
    return Credentials(environ["AWS_ACCESS_KEY_ID"], secret_key, token, expires_at, "env")


def _from_section(section: Section, provider: str) -> Credentials | None:
    access_key, secret_key = section.get("aws_access_key_id"), section.get("aws_secret_access_key")
    token = section.get("aws_security_token", section.get("aws_session_token", ""))
    if not (isinstance(access_key, str) and isinstance(secret_key, str) and isinstance(token, str)):
        return None
    return Credentials(access_key, secret_key, token, None, provider) if access_key and secret_key else None


def _renewal_hint(provider: str) -> str:
    if provider in {"sso", "login"}:
        return "run `aws sso login` (or `aws login`), then run the same command again"
    if provider in {"env", "explicit"}:
        return "get new temporary keys, export them, then run the same command again"
    return "renew the credentials, then run the same command again"


class _BotocoreChain:
    """botocore's own chain; its methods block, for minutes if the network does."""

    def __init__(self, profile: str, named: str = "") -> None:
        self._profile = profile
        self._named = named
        self._session: Any = None
        self._source: Any = None

    def fetch(self, *, again: bool) -> Credentials:
        """Return current credentials; with ``again`` from a new session, which has cached none.

        Raises:
            S3CredentialsError: None were found or their source failed.
            ConfigError: The profile or a file is wrong.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if self._source is None or again:
                self._open(again=again)
            frozen = self._source.get_frozen_credentials()
        # A process, a token file and their JSON fail in their own ways, which botocore does not wrap.
        except (BotoCoreError, ClientError, OSError, ValueError, KeyError, RuntimeError) as error:
            raise _translate(error) from error
        # botocore has no public name for it.
        expiry = getattr(self._source, "_expiry_time", None)
        return Credentials(
            frozen.access_key,
            frozen.secret_key,
            frozen.token or "",
            expiry.timestamp() if expiry is not None else None,
            self._source.method,
        )

    def _open(self, *, again: bool) -> None:
        from botocore.session import Session

        if again and self._session is not None and "mfa_serial" in self._session.get_scoped_config():
            raise S3CredentialsError(
                "the session of a role with MFA has ended, and a new code cannot be asked for in mid-run",
                code="ExpiredToken",
                hint="run the same command again and give a new code",
            )
        variables: dict[str, Any] = {"region": _REGION}
        if self._named and not self._profile:
            # Where a setting names the profile, the environment does not; keys in it still go before.
            variables["profile"] = (None, [], self._named, None)
        self._session = Session(variables, profile=self._profile or None)
        source = self._session.get_credentials()
        if source is None:
            raise S3CredentialsError("no AWS credentials were found", hint=MISSING_HINT)
        self._source = source


def _translate(error: Exception) -> HaulError:
    """Map what botocore raises to our tree, once."""
    from botocore import exceptions

    text = str(error) or type(error).__name__
    if isinstance(
        error, (exceptions.ProfileNotFound, exceptions.ConfigParseError, exceptions.InvalidConfigError)
    ):
        return ConfigError(
            f"AWS settings: {text}", hint="check ~/.aws/config, ~/.aws/credentials and AWS_PROFILE"
        )
    if isinstance(error, exceptions.RefreshWithMFAUnsupportedError):
        return S3CredentialsError(text, hint="run the same command again and give a new code")
    sso = (exceptions.SSOError, exceptions.SSOTokenLoadError, exceptions.UnauthorizedSSOTokenError)
    if isinstance(error, sso):
        return S3CredentialsError(f"AWS SSO: {text}", hint="run `aws sso login`, then the same command again")
    if isinstance(error, exceptions.NoRegionError):
        return S3CredentialsError(
            "a role is to be assumed, and STS is asked for that in a region, which is not set",
            hint="set AWS_REGION, or region in the profile",
        )
    if isinstance(error, exceptions.PartialCredentialsError):
        return S3CredentialsError(text, hint="set both the access key and the secret key")
    code = ""
    if isinstance(error, exceptions.ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
    return S3CredentialsError(f"AWS credentials could not be got: {text}", code=code, hint=MISSING_HINT)
