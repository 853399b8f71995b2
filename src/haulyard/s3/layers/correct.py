"""What a failed attempt teaches: newer credentials, the server's clock, the region of a bucket.

The next attempt is made with what was learned, for address, date and signature are made anew each time.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from haulyard.errors import TransportError
from haulyard.pacing.backoff import parse_http_date
from haulyard.s3 import buckets, regions
from haulyard.s3.faults import Verdict

if TYPE_CHECKING:
    from haulyard.s3.credentials import CredentialsProvider
    from haulyard.s3.layers.sign import Signer
    from haulyard.s3.regions import RegionCache
    from haulyard.s3.request import Request
    from haulyard.s3.response import HttpAnswer

#: Seconds that S3 tolerates ("RequestTimeTooSkewed").
_TOLERATED = 900.0
#: Seconds; what is smaller is not why S3 refused, even where it says so.
_LEAST_SKEW = 60.0
# A process sees few buckets; the bound only guards against a leak.
_MAX_ASKED = 10_000


class Corrector:
    """Learn from an answer; the callable returns True where another attempt will differ.

    Many requests in flight fail for the same reason: the first answer teaches, the others find it learned.
    """

    def __init__(self, signer: Signer, credentials: CredentialsProvider, known: RegionCache) -> None:
        self._signer = signer
        self._credentials = credentials
        self._known = known
        self._asked: set[str] = set()
        self._asking = asyncio.Lock()

    async def __call__(self, request: Request, verdict: Verdict, answer: HttpAnswer) -> bool:
        """Put right what ``verdict`` names.

        Raises:
            S3CredentialsError: The credentials expired and there are no newer ones.
        """
        if verdict is Verdict.REFRESH:
            return await self._credentials.refresh(answer.signed_by) is not None
        if verdict is Verdict.SKEW:
            return self._learn_clock(answer, _LEAST_SKEW)
        if request.method == "HEAD" and self._learn_clock(answer, _TOLERATED):
            # Without a body a wrong clock looks like anything else.
            return True
        return self._learn_region(request.bucket, answer) or await self._ask_region(request, answer)

    def _learn_clock(self, answer: HttpAnswer, least: float) -> bool:
        if answer.skew != self._signer.skew:
            return True
        server = parse_http_date(answer.headers.get("date", ""))
        if server is None:
            return False
        off = server - self._signer.now()
        if abs(off) < least:
            return False
        self._signer.skew += off
        return True

    def _learn_region(self, bucket: str, answer: HttpAnswer) -> bool:
        address = self._signer.address(bucket)
        if answer.address != address:
            return True
        region = regions.learn(
            answer.status, answer.headers, answer.body, address.signing_region, secure=address.is_secure
        )
        if region is None:
            return False
        self._known.learn(bucket, region)
        return True

    async def _ask_region(self, request: Request, answer: HttpAnswer) -> bool:
        """HeadBucket names the region even where it is denied; it is asked once for each bucket."""
        bucket = request.bucket
        if request.operation == "HeadBucket" or "x-amz-bucket-region" in answer.headers:
            return False
        async with self._asking:
            if answer.address != self._signer.address(bucket):
                return True
            if bucket in self._asked:
                return False
            try:
                told = await self._signer(buckets.head_bucket(bucket))
            except TransportError:
                return False
            if len(self._asked) >= _MAX_ASKED:
                self._asked.clear()
            self._asked.add(bucket)
            return self._learn_region(bucket, told)
