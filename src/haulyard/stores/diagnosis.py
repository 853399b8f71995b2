"""What `haul doctor` asks of an S3 service, and no other command: whose keys, which answer, which region.

`find_keys` and `ask_caller` block, maybe for minutes where the network does: they belong into a thread that
may be left behind.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Self

from haulyard.http import HttpClient, HttpConfig
from haulyard.pacing.backoff import parse_http_date
from haulyard.s3.credentials import CredentialsProvider
from haulyard.s3.endpoint import EndpointConfig, resolve
from haulyard.stores.access import check_access, prove
from haulyard.stores.assemble import Connection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.config import Settings
    from haulyard.events import Emit
    from haulyard.s3.credentials import Credentials
    from haulyard.stores.access import Probe
    from haulyard.stores.base import Capabilities

#: Seconds; a person waits, and a server that takes longer is reported as one that does not answer.
_PATIENCE = 5.0
#: Enough for one that fails once by chance; more would hide how the service is.
_ATTEMPTS = 3
_VISIBLE = 4


@dataclass(frozen=True, slots=True)
class Keys:
    """The credentials that requests are signed with, fit to be shown."""

    found: Credentials = field(repr=False)

    @property
    def provider(self) -> str:
        """Where they came from, by botocore's name (``env``, ``shared-credentials-file``, ``sso``)."""
        return self.found.provider

    @property
    def expires_at(self) -> float | None:
        """When they end, in seconds since the epoch; None for keys that last."""
        return self.found.expires_at

    @property
    def is_temporary(self) -> bool:
        """Whether they come with a session token."""
        return bool(self.found.token)

    @property
    def masked(self) -> str:
        """The access key id without its middle, and nothing of a short one."""
        name = self.found.access_key
        if len(name) < 4 * _VISIBLE:
            return "****"
        return f"{name[:_VISIBLE]}****{name[-_VISIBLE:]}"


class Where(NamedTuple):
    """The address that requests go to; ``is_local`` where they do not leave this machine."""

    url: str
    host: str
    port: int
    region: str
    is_encrypted: bool
    is_local: bool


class Exchange(NamedTuple):
    """One bare request, and its answer: the status, the headers, when it was asked and for how long.

    ``asked_at`` is in seconds since the epoch by this machine's clock, ``seconds`` until the answer came.
    """

    status: int
    headers: Mapping[str, str]
    asked_at: float
    seconds: float

    @property
    def region(self) -> str:
        """The region that the answer names, ``""`` for none."""
        return self.headers.get("x-amz-bucket-region", "")

    @property
    def skew(self) -> float | None:
        """Seconds that the server's clock is ahead of this one, within one second; None without a date."""
        date = parse_http_date(self.headers.get("date", ""))
        # The header cuts fractions off, and was written at some moment of the exchange.
        return None if date is None else date + 0.5 - (self.asked_at + self.seconds / 2)


def find_keys(settings: Settings) -> Keys | None:
    """Return the credentials that commands would use; None where requests are not to be signed. Blocks.

    Raises:
        S3CredentialsError: There are none, or they have expired.
        ConfigError: The profile does not exist, or a shared file is broken.
    """
    provider = CredentialsProvider(
        profile=settings.profile if settings.profile_chosen else "",
        named=settings.profile,
        environ=settings.environment,
        anonymous=settings.no_sign_request,
    )
    found = asyncio.run(_current(provider))
    return None if found is None else Keys(found)


def ask_caller(settings: Settings, keys: Keys) -> str:
    """Return the ARN of whom the keys belong to, as STS says. Blocks.

    Raises:
        Unsupported: The endpoint is not AWS's, and AWS_ENDPOINT_URL_STS names no STS of its own.
        S3Error: STS refused, or did not answer.
    """
    # botocore: half a second.
    from haulyard.s3.aws import AwsTarget, sts_get_caller_identity

    target = AwsTarget(keys.found, _endpoint(settings), settings.ca_bundle, settings.verify_ssl)
    url = settings.environment.get("AWS_ENDPOINT_URL_STS", "")
    return asyncio.run(sts_get_caller_identity(target, url)).arn


class Examination:
    """One S3 service while it is being examined. Use it as an async context manager.

    ``keys`` None leaves requests unsigned.
    """

    def __init__(self, settings: Settings, keys: Keys | None, emit: Emit) -> None:
        self.settings = replace(
            settings,
            retries=min(settings.retries, _ATTEMPTS),
            no_sign_request=keys is None,
        )
        self.is_anonymous = keys is None
        self.connection = Connection(self.settings, emit, credentials=keys.found if keys else None)
        self._emit = emit
        self._http = HttpClient(
            HttpConfig(
                ca_bundle=settings.ca_bundle,
                verify=settings.verify_ssl,
                connect_timeout=_PATIENCE,
                read_timeout=_PATIENCE,
            )
        )

    async def exchange(self, bucket: str = "") -> Exchange:
        """Ask for the head of ``bucket``, or of the service, without a signature; any answer will do.

        Raises:
            TransportError: There was none.
        """
        address = self.connection.signer.address(bucket)
        path, _ = address.path("")
        asked_at, started = time.time(), time.monotonic()
        async with await self._http.send("HEAD", address.base_url, path, "", {}) as response:
            return Exchange(response.status, response.headers, asked_at, time.monotonic() - started)

    def learned_region(self, bucket: str) -> str:
        """Return the region that answers have named for ``bucket``, ``""`` where the first one was right."""
        return self.connection.regions.get(bucket)

    async def permissions(self, bucket: str, below: str, *, read_only: bool) -> list[Probe]:
        """Try every call that the commands make (see `haulyard.stores.access`).

        Raises:
            S3Error: No call could be made at all.
        """
        return await check_access(
            self.connection.bucket(bucket),
            below=below,
            read_only=read_only,
            # Nobody can sign a URL without keys.
            fetch=None if self.is_anonymous else self.connection.fetch,
            emit=self._emit,
            state_dir=self.connection.settings.state_dir,
        )

    async def capabilities(self, bucket: str, below: str, *, may_write: bool) -> Capabilities:
        """Prove anew what the endpoint honours and remember it; else return what is remembered.

        Raises:
            S3Error: The proof could not be made.
        """
        return await prove(
            self.connection.bucket(bucket),
            self.settings.state_dir,
            self._emit,
            endpoint=self.settings.endpoint_url,
            below=below,
            may_write=may_write,
            anew=may_write,
        )

    async def close(self) -> None:
        """Close the connections; closing twice is harmless."""
        await self._http.close()
        await self.connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


def where(settings: Settings, bucket: str = "") -> Where:
    """Return the address of ``bucket``, or of the service.

    Raises:
        ConfigError: Settings that contradict each other, or a name that no address can hold.
    """
    address = resolve(_endpoint(settings), bucket)
    path = "" if address.virtual or not bucket else f"/{bucket}"
    return Where(
        address.base_url + address.path_prefix + path,
        address.host.strip("[]"),
        address.port,
        address.signing_region,
        address.is_secure,
        address.is_loopback,
    )


async def _current(provider: CredentialsProvider) -> Credentials | None:
    return await provider.get(time.time())


def _endpoint(settings: Settings) -> EndpointConfig:
    return EndpointConfig(
        settings.endpoint_url,
        settings.region,
        settings.addressing,
        settings.use_dualstack,
        settings.use_fips,
        settings.accelerate,
    )
