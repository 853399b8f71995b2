"""AWS KMS for client-side encryption: data keys, made and unwrapped with the credentials of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.models import Secret
    from haulyard.s3.aws import AwsTarget, KmsDataKey
    from haulyard.stores.assemble import Connection


class Kms:
    """The KMS that belongs to a connection: its credentials, its region unless a key's ARN names another.

    ``endpoint_url`` goes before AWS_ENDPOINT_URL_KMS; without both it is AWS's own.
    """

    def __init__(self, connection: Connection, endpoint_url: str = "") -> None:
        self._connection = connection
        self._endpoint_url = endpoint_url or connection.settings.environment.get("AWS_ENDPOINT_URL_KMS", "")

    async def generate_data_key(self, key_id: str, context: Mapping[str, str]) -> KmsDataKey:
        """Return a new data key, in plain and wrapped (see `haulyard.s3.aws.kms_generate_data_key`)."""
        from haulyard.s3.aws import kms_generate_data_key  # botocore: half a second

        return await kms_generate_data_key(await self._target(), key_id, context, self._endpoint_url)

    async def decrypt(self, key_id: str, wrapped: bytes, context: Mapping[str, str]) -> Secret:
        """Return a data key in plain (see `haulyard.s3.aws.kms_decrypt`)."""
        from haulyard.s3.aws import kms_decrypt  # likewise

        return await kms_decrypt(await self._target(), key_id, wrapped, context, self._endpoint_url)

    async def _target(self) -> AwsTarget:
        from haulyard.s3.aws import AwsTarget

        settings = self._connection.settings
        keys = await self._connection.current_credentials()
        return AwsTarget(keys, self._connection.endpoint, settings.ca_bundle, settings.verify_ssl)
