"""The one place where the layers are stacked: ``observe(retry(limit(sign(transport))))``."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Self

from haulyard.events import ignore
from haulyard.http import HttpClient, HttpConfig
from haulyard.http.config import SLOWEST_UPLOAD
from haulyard.pacing.budget import CAPACITY, TRANSIENT_COST, RetryBudget
from haulyard.s3.client import S3Client
from haulyard.s3.credentials import Credentials, CredentialsProvider
from haulyard.s3.endpoint import EndpointConfig
from haulyard.s3.layers.correct import Corrector
from haulyard.s3.layers.limit import Limiter
from haulyard.s3.layers.observe import observe
from haulyard.s3.layers.retry import Retrier, RetryPolicy
from haulyard.s3.layers.sign import Signer
from haulyard.s3.regions import RegionCache
from haulyard.stores.s3 import S3Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.config import Settings
    from haulyard.events import Emit
    from haulyard.s3.layers.sign import Transport
    from haulyard.stores.access import Probe
    from haulyard.stores.base import Capabilities
    from haulyard.url import S3Url


class Connection:
    """One S3 service as ``settings`` describe it: its client, its stores, and what they share.

    All buckets share credentials, connections, the limiter and the retry budget. Close it before its event
    loop ends.
    """

    def __init__(
        self,
        settings: Settings,
        emit: Emit = ignore,
        *,
        credentials: Credentials | None = None,
        transport: Transport | None = None,
        observed: Callable[[], bool] = lambda: True,
        rate: float = 0.0,
    ) -> None:
        """Stack the layers; nothing is sent yet.

        ``credentials`` are used instead of the chain's, ``transport`` instead of HTTP (for tests).
        ``observed`` says whether anybody would listen to the event of each single request.
        ``rate`` is a ceiling in requests a second for all of them together, never passed; 0 is none.
        """
        self.settings = settings
        self._emit = emit
        self._proving = asyncio.Lock()
        self._proved: dict[str, Capabilities] = {}
        self.endpoint = EndpointConfig(
            settings.endpoint_url,
            settings.region,
            settings.addressing,
            settings.use_dualstack,
            settings.use_fips,
            settings.accelerate,
        )
        self.credentials = CredentialsProvider(
            profile=settings.profile if settings.profile_chosen else "",
            named=settings.profile,
            environ=settings.environment,
            fixed=credentials,
            anonymous=settings.no_sign_request,
        )
        self._http = HttpClient(
            HttpConfig(
                ca_bundle=settings.ca_bundle,
                verify=settings.verify_ssl,
                bytes_per_second=settings.bwlimit,
                slowest_upload=_slowest_upload(settings),
            )
        )
        self.regions = RegionCache()
        self.signer = Signer(
            transport or self._http.send, self.endpoint, self.current_credentials, self.regions
        )
        policy = RetryPolicy(settings.retries, settings.retry_base_delay)
        retrier = Retrier(
            Limiter(self.signer, settings.concurrency, emit, rate=rate),
            Corrector(self.signer, self.credentials, self.regions),
            policy,
            _budget(policy, settings.concurrency),
            emit,
            random=random.random,
        )
        self.client = S3Client(
            observe(retrier, emit, wanted=observed),
            signer=self.signer,
            credentials=self.current_credentials,
            expected_owner=settings.expected_bucket_owner,
            request_payer=settings.request_payer == "requester",
            checksum_algorithm=(
                "none"
                if settings.request_checksum_calculation == "when_required"
                else settings.checksum_algorithm
            ),
            validate_checksums=settings.response_checksum_validation == "when_supported",
        )

    def begin_in(self, url: S3Url) -> None:
        """Reach the bucket of ``url`` as that says: in its region, by its kind of endpoint.

        Only what an ``https://`` form of AWS says beyond the name counts, and nothing where the settings name
        an endpoint of their own. A region that the bucket itself told goes before.
        """
        if self.endpoint.endpoint_url:
            return
        if url.region and not self.regions.get(url.bucket):
            self.regions.learn(url.bucket, url.region)
        if url.dualstack or url.fips or url.accelerate:
            self.signer.reach(url.bucket, dualstack=url.dualstack, fips=url.fips, accelerate=url.accelerate)

    def bucket(self, name: str) -> S3Store:
        """Return the store of one bucket, or of an access point given by its ARN."""
        return S3Store(self.client, name, service=self._service(), on_aws=not self.endpoint.endpoint_url)

    async def proved(self, name: str, *, below: str = "", may_write: bool = True) -> S3Store:
        """Return the store of one bucket, which knows what its endpoint really honours.

        For work that deletes what it copied, never replaces, or merges listings. Away from AWS the first
        call for an endpoint probes it, on objects below ``below`` (see `haulyard.stores.access`), unless
        ``may_write`` is False; then only what an earlier call remembered is known.
        """
        # Only here: plain copies and listings prove nothing.
        from haulyard.stores.access import prove

        store = self.bucket(name)
        async with self._proving:
            known = self._proved.get(name)
            if known is None:
                settings = self.settings
                known = await prove(
                    store,
                    settings.state_dir,
                    self._emit,
                    endpoint=settings.endpoint_url,
                    below=below,
                    may_write=may_write,
                )
                if may_write:
                    self._proved[name] = known
        store.capabilities = known
        return store

    async def check_access(self, name: str, *, below: str = "", read_only: bool = False) -> list[Probe]:
        """Try every call that the commands make on a bucket (see `haulyard.stores.access`)."""
        from haulyard.stores.access import check_access  # as above

        return await check_access(
            self.bucket(name),
            below=below,
            read_only=read_only,
            fetch=self.fetch,
            emit=self._emit,
            state_dir=self.settings.state_dir,
        )

    async def fetch(self, url: str) -> int:
        """Return the status of a bare HEAD of a presigned URL, without retries."""
        scheme, _, rest = url.partition("://")
        authority, slash, rest = rest.partition("/")
        path, _, query = rest.partition("?")
        origin = f"{scheme}://{authority}"
        async with await self._http.send("HEAD", origin, slash + path, query, {}) as response:
            return response.status

    async def close(self) -> None:
        """Close the connections; closing twice is harmless."""
        await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def current_credentials(self) -> Credentials | None:
        """Return what requests are signed with, renewed where it is about to end; None for anonymous."""
        return await self.credentials.get(time.time())

    def _service(self) -> str:
        """Two connections with the same answer can copy between each other's buckets."""
        settings = self.settings
        return f"{settings.endpoint_url or 'aws'} {settings.profile} {settings.no_sign_request}"


def fixed_keys(access_key: str, secret_key: str, session_token: str = "") -> Credentials:
    """Return credentials that a program gives instead of having them found."""
    return Credentials(access_key, secret_key, session_token)


def _slowest_upload(settings: Settings) -> float:
    """Return the bytes a second below which an upload is stuck: all that is in flight shares a bandwidth."""
    if not settings.bwlimit:
        return SLOWEST_UPLOAD
    # Half a fair share, for pieces of 256 KiB do not take turns evenly.
    return min(SLOWEST_UPLOAD, settings.bwlimit / settings.concurrency / 2)


def _budget(policy: RetryPolicy, concurrency: int) -> RetryBudget:
    """Make the budget of a job large enough for all that is in flight to use its attempts once.

    A store that restarts fails everything in flight at the same time; with the SDKs' constant capacity the
    job would die with its first wave instead of waiting the restart out.
    """
    return RetryBudget(max(CAPACITY, TRANSIENT_COST * (policy.attempts - 1) * concurrency))
