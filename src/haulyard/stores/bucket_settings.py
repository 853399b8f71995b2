"""The settings of a bucket, with the credentials and the endpoint of a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haulyard.s3.aws import AwsTarget, BucketRules
    from haulyard.stores.assemble import Connection


class BucketSettings:
    """What is set for a whole bucket, asked and told through botocore (its first use takes half a second)."""

    def __init__(self, connection: Connection, bucket: str) -> None:
        self._connection = connection
        self._bucket = bucket

    async def versioning(self) -> str:
        """Return ``Enabled``, ``Suspended``, or ``""`` for a bucket that never had versions."""
        from haulyard.s3.aws import get_bucket_versioning  # botocore: half a second

        return await get_bucket_versioning(await self._target(), self._bucket)

    async def set_versioning(self, *, enabled: bool) -> None:
        """Switch versions on, or suspend them; what versions there are stays."""
        from haulyard.s3.aws import put_bucket_versioning  # likewise

        await put_bucket_versioning(await self._target(), self._bucket, enabled=enabled)

    async def rules(self, kind: BucketRules) -> list[dict[str, Any]]:
        """Return the rules of its lifecycle, or of CORS, as S3 names them; none without any."""
        from haulyard.s3.aws import get_rules  # likewise

        return await get_rules(await self._target(), self._bucket, kind)

    async def set_rules(self, kind: BucketRules, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace them; no rules remove what there is."""
        from haulyard.s3.aws import put_rules  # likewise

        await put_rules(await self._target(), self._bucket, kind, rules)

    async def policy(self) -> dict[str, Any]:
        """Return its policy, empty without one."""
        from haulyard.s3.aws import get_bucket_policy  # likewise

        return await get_bucket_policy(await self._target(), self._bucket)

    async def set_policy(self, policy: Mapping[str, Any]) -> None:
        """Replace its policy; an empty one removes it."""
        from haulyard.s3.aws import put_bucket_policy  # likewise

        await put_bucket_policy(await self._target(), self._bucket, policy)

    async def _target(self) -> AwsTarget:
        from haulyard.s3.aws import AwsTarget

        connection, settings = self._connection, self._connection.settings
        if not connection.endpoint.endpoint_url:
            # botocore is told the bucket's region, which this finds out.
            await connection.client.head_bucket(self._bucket)
        region = connection.regions.get(self._bucket) or connection.endpoint.region
        keys = await connection.current_credentials()
        endpoint = connection.endpoint._replace(region=region)
        return AwsTarget(keys, endpoint, settings.ca_bundle, settings.verify_ssl)
