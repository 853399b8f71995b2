"""The checks of `haul doctor` that need no bucket: settings, credentials, and the way to the server.

Each check is independent and bounded in time; what goes wrong in one becomes its finding.
"""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import TYPE_CHECKING, Final, TypeVar

from haulyard.cli import exits, reach
from haulyard.cli.detached import detached
from haulyard.cli.findings import Finding, failure
from haulyard.errors import HaulError, S3AuthError, TransportError, Unsupported
from haulyard.events import ignore
from haulyard.stores.diagnosis import Examination, ask_caller, find_keys

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from haulyard.cli.findings import State
    from haulyard.config import Settings
    from haulyard.stores.diagnosis import Exchange, Keys, Where

Result = TypeVar("Result")

#: Seconds. The chain asks files, SSO and the machine's metadata service one after the other.
_KEYS_PATIENCE: Final = 15.0
_STEP_PATIENCE: Final = 6.0
#: Requests whose median is shown, and the seconds after which no more are made.
_SAMPLES: Final = 7
_SAMPLING: Final = 5.0

_SOON: Final = 15 * 60
_DAY: Final = 24 * 3600
_CERTIFICATE_WARNING: Final = 14 * _DAY
#: Seconds; S3 refuses what is signed more than 15 minutes beside its own time.
_S3_TOLERANCE: Final = 15 * 60
_SKEW_WARNING: Final = 60
#: The Date header tells whole seconds.
_SKEW_NOISE: Final = 1.5

_PROVIDERS: Final = {
    "env": "the environment",
    "shared-credentials-file": "the shared credentials file",
    "config-file": "the shared config file",
    "iam-role": "the role of this machine (IMDS)",
    "container-role": "the role of this container",
    "assume-role": "a role that was assumed",
    "assume-role-with-web-identity": "a role, by a web identity token",
    "sso": "SSO (IAM Identity Center)",
    "login": "aws login",
    "custom-process": "the profile's credential_process",
    "boto-config": "the file of boto 2",
    "ec2-credentials-file": "the file that AWS_CREDENTIAL_FILE names",
}


async def within(seconds: float, work: Awaitable[Result]) -> Result:
    """Return what ``work`` returns.

    Raises:
        TransportError: It took longer than ``seconds``.
    """
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise TransportError(
            f"no answer within {seconds:.0f} s", kind="timeout", hint="check the network, then try it again"
        ) from None


def check_settings(settings: Settings, place: Where) -> list[Finding]:
    """Say where requests go, and which setting says so."""
    origins = settings.origins
    endpoint = f"{place.url} ({origins['endpoint_url'] if settings.endpoint_url else 'AWS'})"
    region = f"{place.region} ({origins['region'] if settings.region else 'default'})"
    found = [
        Finding("settings", "endpoint", "ok", endpoint, more={"url": place.url}),
        Finding("settings", "region", "ok", region, more={"region": place.region}),
    ]
    if settings.profile:
        found.append(Finding("settings", "profile", "ok", f"{settings.profile} ({origins['profile']})"))
    if settings.ca_bundle:
        found.append(Finding("settings", "ca bundle", "ok", f"{settings.ca_bundle} ({origins['ca_bundle']})"))
    return found


async def check_keys(settings: Settings) -> tuple[Finding, Keys | None]:
    """Find the credentials and say which they are."""
    try:
        keys = await within(_KEYS_PATIENCE, detached(lambda: find_keys(settings)))
    except (HaulError, OSError) as error:
        found = failure("credentials", "keys", error)
        # A chain that hangs is no network of the store's.
        code = exits.DENIED if isinstance(error, TransportError) else found.code
        return Finding("credentials", "keys", "failed", found.detail, found.hint, code, found.more), None
    if keys is None:
        return Finding("credentials", "keys", "skipped", "requests are not signed, as was asked for"), None
    return describe_keys(keys, time.time()), keys


def describe_keys(keys: Keys, now: float) -> Finding:
    """Return which credentials they are and how long they last; ``now`` in seconds since the epoch."""
    source = _PROVIDERS.get(keys.provider, keys.provider)
    more = {"access_key": keys.masked, "provider": keys.provider, "expires_at": keys.expires_at}
    if keys.expires_at is None:
        lasting = "temporary, their end is not known" if keys.is_temporary else "without an end"
        return Finding("credentials", "keys", "ok", f"{keys.masked} from {source}, {lasting}", more=more)
    left = keys.expires_at - now
    detail = f"{keys.masked} from {source}, valid for another {_duration(left)}"
    if left > _SOON:
        return Finding("credentials", "keys", "ok", detail, more=more)
    hint = "log in again before a long transfer, unless their source renews them by itself"
    return Finding("credentials", "keys", "warning", detail, hint, more=more)


async def check_caller(settings: Settings, keys: Keys | None) -> Finding:
    """Ask STS who the caller is."""
    if keys is None:
        return Finding("credentials", "identity", "skipped", "there are no keys to ask with")
    try:
        arn = await within(_STEP_PATIENCE, detached(lambda: ask_caller(settings, keys)))
    except Unsupported as error:
        return Finding("credentials", "identity", "skipped", str(error), error.hint)
    except S3AuthError as error:
        return failure("credentials", "identity", error)
    except HaulError as error:
        # Networks without a way to STS are common, and S3 does not need it.
        return Finding("credentials", "identity", "warning", f"STS: {error}", "S3 works without STS")
    return Finding("credentials", "identity", "ok", arn, more={"arn": arn})


async def check_network(settings: Settings, place: Where, bucket: str) -> list[Finding]:
    """Go the way to the server step by step; the first that fails is the last."""
    way = _Way(settings, place, bucket)
    async with Examination(settings, None, ignore) as examination:
        await way.walk(examination)
    return way.findings


class _Way:
    """The steps to one server."""

    def __init__(self, settings: Settings, place: Where, bucket: str) -> None:
        self.findings: list[Finding] = []
        self._settings = settings
        self._place = place
        self._bucket = bucket
        self._is_blocked = False

    async def walk(self, examination: Examination) -> None:
        certificate = await self._connect()
        if self._is_blocked:
            return
        first = await self._first_exchange(examination)
        if certificate is not None:
            told = _describe_certificate(certificate, time.time(), trusted=first is not None)
            self.findings.insert(2, told)
        if first is not None:
            self.findings.append(describe_clock(first.skew))
            await self._measure(examination)

    async def _connect(self) -> reach.Certificate | None:
        """Take the steps before the first request, and return how it is encrypted, where it is."""
        host, port = self._place.host, self._place.port
        scheme = "https" if self._place.is_encrypted else "http"
        proxy = "" if self._place.is_local else await detached(lambda: reach.proxy_for(scheme, host))
        if proxy:
            for name in ("dns", "connection", "tls"):
                self._tell(name, "skipped", f"requests go through the proxy {proxy}")
            return None
        if not await self._step("dns", lambda: reach.look_up(host, port), _addresses):
            return None
        if not await self._step("connection", lambda: reach.connect(host, port), _ms):
            return None
        return await self._handshake()

    async def _handshake(self) -> reach.Certificate | None:
        place, settings = self._place, self._settings
        if not place.is_encrypted:
            if place.is_local:
                self._tell("tls", "skipped", "plain http, which does not leave this machine")
            else:
                warning = "plain http: everybody on the way can read along"
                self._tell("tls", "warning", warning, "use https:// if the server has it")
            return None
        try:
            return await within(
                2 * _STEP_PATIENCE,
                detached(
                    lambda: reach.certificate(
                        place.host, place.port, ca_bundle=settings.ca_bundle, verify=settings.verify_ssl
                    )
                ),
            )
        except (HaulError, OSError) as error:
            self._fail("tls", error)
        return None

    async def _first_exchange(self, examination: Examination) -> Exchange | None:
        try:
            first = await within(_STEP_PATIENCE, examination.exchange(self._bucket))
        except (HaulError, OSError) as error:
            self._fail("answer", error)
            return None
        server = first.headers.get("server", "")
        self._tell("answer", "ok", f"status {first.status}{f' from {server}' if server else ''}")
        return first

    async def _measure(self, examination: Examination) -> None:
        took: list[float] = []
        until = time.monotonic() + _SAMPLING
        try:
            while len(took) < _SAMPLES and time.monotonic() < until:
                took.append((await within(_STEP_PATIENCE, examination.exchange(self._bucket))).seconds)
        except (HaulError, OSError) as error:
            self._fail("latency", error)
            return
        middle = median(took)
        detail = f"{_ms(middle)}, the median of {len(took)} requests ({_ms(min(took))} to {_ms(max(took))})"
        more = {"median_seconds": middle, "requests": len(took)}
        self.findings.append(Finding("network", "latency", "ok", detail, more=more))

    async def _step(self, name: str, call: Callable[[], Result], describe: Callable[[Result], str]) -> bool:
        try:
            result = await within(_STEP_PATIENCE, detached(call))
        except (HaulError, OSError) as error:
            self._fail(name, error)
            return False
        self._tell(name, "ok", describe(result))
        return True

    def _tell(self, name: str, state: State, detail: str, hint: str = "") -> None:
        self.findings.append(Finding("network", name, state, detail, hint))

    def _fail(self, name: str, error: BaseException) -> None:
        self.findings.append(failure("network", name, error))
        self._is_blocked = True


def describe_clock(skew: float | None) -> Finding:
    """Return how far this machine's clock is from the server's, which is ``skew`` seconds ahead."""
    if skew is None:
        return Finding("network", "clock", "unknown", "the server's answer has no date")
    more = {"skew_seconds": round(skew, 1)}
    if abs(skew) <= _SKEW_NOISE:
        return Finding("network", "clock", "ok", "agrees with the server's to the second", more=more)
    detail = f"{_duration(abs(skew))} {'behind' if skew > 0 else 'ahead of'} the server's"
    if abs(skew) <= _SKEW_WARNING:
        return Finding("network", "clock", "ok", detail, more=more)
    hint = "set this machine's clock (NTP): S3 refuses what is signed 15 minutes off"
    if abs(skew) <= _S3_TOLERANCE:
        return Finding("network", "clock", "warning", detail, hint, more=more)
    return Finding("network", "clock", "failed", detail, hint, exits.DENIED, more)


def _describe_certificate(found: reach.Certificate, now: float, *, trusted: bool) -> Finding:
    """Return the finding of the handshake; ``trusted`` says that the requests themselves went through."""
    more: dict[str, object] = {"version": found.version, "expires_at": found.expires_at or None}
    if found.problem:
        detail = f"{found.version}, the certificate is not to be trusted: {found.problem}"
        if not trusted:
            hint = "name the right authority with --ca-bundle, or check whom the endpoint's name leads to"
            return Finding("network", "tls", "failed", detail, hint, exits.TEMPORARY, more)
        return Finding("network", "tls", "warning", detail, "requests are sent all the same", more=more)
    left = found.expires_at - now
    detail = f"{found.version}, {found.subject} by {found.issuer}, valid for {_duration(left)}"
    if left < _CERTIFICATE_WARNING:
        return Finding("network", "tls", "warning", detail, "have the certificate renewed", more=more)
    return Finding("network", "tls", "ok", detail, more=more)


def _addresses(found: list[str]) -> str:
    shown = ", ".join(found[:3])
    return f"{shown} and {len(found) - 3} more" if len(found) > 3 else shown  # noqa: PLR2004 -- what fits the line


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _duration(seconds: float) -> str:
    """Return a time as people say it: ``42 s``, ``17 min``, ``5 h``, ``80 days``."""
    for size, unit in ((_DAY, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
