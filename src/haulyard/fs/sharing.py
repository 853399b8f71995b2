"""URLs and forms that let others read or write a file without credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack

from haulyard.errors import ConfigError, Unsupported
from haulyard.fs.metrics import measured
from haulyard.fs.volume import VolumeCalls

if TYPE_CHECKING:
    from datetime import timedelta

    from haulyard.fs.config import FileProperties
    from haulyard.models import PresignedPost, PresignedUrl

#: What S3 replaces in the key of a form by the name of the file that the browser sends.
_FILENAME = "${filename}"
_SHARED = (
    "content_type",
    "content_encoding",
    "content_disposition",
    "content_language",
    "cache_control",
    "metadata",
    "tags",
    "storage_class",
    "acl",
    "encryption",
)


class ShareCalls(VolumeCalls):
    """Sign URLs for others."""

    @measured
    async def generate_presigned_url(
        self,
        path: str,
        *,
        operation: Literal["GET", "HEAD", "DELETE"] = "GET",
        expires_in: float | timedelta = 3600,
        version_id: str = "",
    ) -> PresignedUrl:
        """Return a URL that lets whoever holds it do ``operation`` on one file, without credentials.

        Args:
            path: Of the file, which need not exist.
            operation: ``GET``, ``HEAD`` or ``DELETE``; `generate_presigned_upload_url` writes.
            expires_in: Seconds that it lives, at most 7 days; with the credentials it dies sooner.
            version_id: A version instead of the current file.

        Raises:
            ConfigError: ``expires_in`` is out of range, or reading would need the SSE-C key.
            Unsupported: With client-side encryption: it would give ciphertext.
            UnsafeName: The path is none of a file.

        Example:
            >>> (await provider.generate_presigned_url("notes/today.txt", expires_in=600)).url
            'http://.../notes/today.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&...'
        """
        volume = self._volume
        key = volume.file_key(path)
        if operation not in {"GET", "HEAD", "DELETE"}:
            raise ConfigError(f"operation={operation!r} is not allowed", hint="GET, HEAD or DELETE")
        if operation != "DELETE":
            self._refuse_encrypted(key)
        return await volume.client.presign(
            volume.uri(key), method=operation, expires_in=expires_in, version_id=version_id
        )

    @measured
    async def generate_presigned_upload_url(
        self,
        path: str,
        *,
        expires_in: float | timedelta = 3600,
        **properties: Unpack[FileProperties],
    ) -> PresignedUrl:
        """Return a URL for a PUT of one file, without credentials.

        What the file gets is signed as ``headers`` of the result, which have to be sent as they are.

        Args:
            path: Of the file.
            expires_in: As in `generate_presigned_url`.
            properties: As in `S3Provider.write_file`.

        Raises:
            HaulError: As `generate_presigned_url`.
        """
        volume = self._volume
        key = volume.file_key(path)
        self._refuse_encrypted(key)
        return await volume.client.presign(
            volume.uri(key), method="PUT", expires_in=expires_in, **self._shared(key, properties)
        )

    @measured
    async def generate_presigned_post(
        self,
        path: str,
        *,
        expires_in: float | timedelta = 3600,
        max_size: int = 0,
        **properties: Unpack[FileProperties],
    ) -> PresignedPost:
        """Return a form with which a browser may upload one file, without credentials.

        Args:
            path: Of the file.
            expires_in: As in `generate_presigned_url`.
            max_size: Bytes that may be uploaded; 0 for ``max_file_size`` of the configuration.
            properties: As in `S3Provider.write_file`, as fields of the form.

        Raises:
            ConfigError: Tags, which a form takes as a document of its own; or as `generate_presigned_url`.
            UnsafeName: The path is none of a file.
        """
        volume = self._volume
        key = volume.file_key(path)
        self._refuse_encrypted(key)
        if _FILENAME in key:
            raise ConfigError(
                f"{path!r}: S3 puts the name of the browser's file in the place of {_FILENAME}",
                hint="a form is for one path; rename it, or use generate_presigned_upload_url",
            )
        return await volume.client.presign_post(
            volume.uri(key),
            expires_in=expires_in,
            max_size=max_size or volume.config.max_file_size,
            **self._shared(key, properties),
        )

    def _shared(self, key: str, given: FileProperties) -> dict[str, Any]:
        options = self._volume.put_options(key, given)
        return {name: value for name in _SHARED if (value := getattr(options, name))}

    def _refuse_encrypted(self, key: str) -> None:
        volume = self._volume
        if volume.config.client_side_encryption is not None:
            raise Unsupported(
                f"{volume.uri(key)} is encrypted by the client, and a URL would bypass that",
                store="s3",
                operation="presign",
                bucket=volume.config.bucket,
                key=key,
                hint="read and write it through the provider",
            )
        if volume.customer_key is not None:
            raise ConfigError(
                "whoever holds the URL would need the SSE-C key",
                hint="share files of a provider without SSE-C",
            )
