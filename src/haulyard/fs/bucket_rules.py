"""What is set for a whole bucket: its lifecycle, its policy, and who may use it from web pages (CORS)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from haulyard.client.cancelling import cancelled_once
from haulyard.errors import Unsupported
from haulyard.fs.metrics import measured
from haulyard.fs.volume import VolumeCalls
from haulyard.stores.bucket_settings import BucketSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class BucketRuleCalls(VolumeCalls):
    """Read and replace settings of the bucket; only a provider of all of it may."""

    @measured
    async def get_lifecycle(self) -> list[dict[str, Any]]:
        """Return the rules of the bucket's lifecycle, as S3's API (and boto3) names them; none without any.

        Raises:
            Unsupported: The provider has a prefix: the bucket is not its own.
            S3PermissionError: The caller may not.
        """
        return await self._bucket_settings().rules("lifecycle")

    @measured
    @cancelled_once
    async def set_lifecycle(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace the rules of the bucket's lifecycle; no rules remove what there is.

        Raises:
            ConfigError: A rule has not the shape that S3's API gives it.
            HaulError: As `get_lifecycle`.

        Example:
            >>> rule = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}}
            >>> await provider.set_lifecycle([{**rule, "Expiration": {"Days": 30}}])
            >>> [rule["ID"] for rule in await provider.get_lifecycle()]
            ['logs']
        """
        await self._bucket_settings().set_rules("lifecycle", rules)

    @measured
    async def get_bucket_policy(self) -> dict[str, Any]:
        """Return the policy of the bucket, empty where it has none.

        Raises:
            HaulError: As `get_lifecycle`.
        """
        return await self._bucket_settings().policy()

    @measured
    @cancelled_once
    async def set_bucket_policy(self, policy: Mapping[str, Any]) -> None:
        """Replace the policy of the bucket; an empty one removes it.

        Raises:
            HaulError: As `get_lifecycle`.
        """
        await self._bucket_settings().set_policy(policy)

    @measured
    async def get_cors(self) -> list[dict[str, Any]]:
        """Return the rules by which web pages of other origins may use the bucket; none without any.

        Raises:
            HaulError: As `get_lifecycle`.
        """
        return await self._bucket_settings().rules("cors")

    @measured
    @cancelled_once
    async def set_cors(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace the rules for web pages of other origins; no rules remove what there is.

        Raises:
            HaulError: As `set_lifecycle`.
        """
        await self._bucket_settings().set_rules("cors", rules)

    def _bucket_settings(self) -> BucketSettings:
        volume = self._volume
        if volume.prefix:
            raise Unsupported(
                f"settings of the bucket concern more than {volume.uri(volume.prefix)}",
                store="s3",
                operation="bucket settings",
                bucket=volume.config.bucket,
                hint="use a provider of the whole bucket, without a prefix",
            )
        return BucketSettings(volume.session.connection(), volume.config.bucket)
