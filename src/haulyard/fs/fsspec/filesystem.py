"""`HaulFileSystem`: S3 for whatever speaks fsspec."""

from __future__ import annotations

from typing import Any

from haulyard.fs.fsspec.buffered import MODES, HaulFile
from haulyard.fs.fsspec.errors import os_errors, refusal_before
from haulyard.fs.fsspec.properties import PropertyMethods
from haulyard.fs.fsspec.streams import AsyncFile, AsyncWrittenFile
from haulyard.fs.fsspec.transactions import HaulTransaction


class HaulFileSystem(PropertyMethods):
    """S3, or a store that speaks its protocol, for pandas, polars, dask, zarr and whatever speaks fsspec.

    A path is ``bucket/key`` or ``haul://bucket/key``. Directories are what keys have in common; a bucket is
    one, too. Errors are OSErrors (FileNotFoundError, PermissionError …) whose ``__cause__`` is Haulyard's.

    Settings that are not given come from where those of `haul` come from: ``HAUL_*`` and AWS's variables,
    the configuration files, the AWS profile; credentials are found by AWS's chain unless ``key`` and
    ``secret`` are given.

    The plain methods work in any thread, and where an event loop runs (notebooks); requests are made in one
    thread of the process. With ``asynchronous=True`` those with an underscore are awaited in a loop of yours.
    A process that was forked from one that had used a filesystem cannot use any: start processes by spawn or
    forkserver. Instances are pickled as their options.

    Args:
        endpoint_url: Address of the store; AWS unless given.
        profile: Profile of AWS's config files.
        region: Region to begin with.
        key: Access key id, with ``secret``, instead of those that are found.
        secret: The secret that belongs to it.
        token: The token of temporary keys.
        anon: Send requests without credentials (public buckets).
        requester_pays: Agree to pay for requests and traffic.
        version_aware: Understand ``?versionId=`` in paths and ``version_id=``, and list versions.
        default_block_size: Bytes that are read ahead at a time (8 MiB).
        default_cache_type: What serves small reads of open files: ``ahead``, or one of fsspec's.
        use_listings_cache: Remember listings; what this filesystem writes is seen at once.
        listings_expiry_time: Seconds that they are remembered (10); None for ever.
        max_paths: How many listings are remembered; as many as 64 MiB hold unless given.
        client_kwargs: boto3's names of ``endpoint_url``, ``region``, keys …, as s3fs takes them.
        s3_additional_kwargs: boto3's names of what written objects get (``ServerSideEncryption`` …).
        asynchronous: Its methods are awaited in an event loop of yours.
        loop: The running event loop that the plain methods use instead of that of all filesystems.
        batch_size: Calls of one operation at a time; as many as ``concurrency`` unless given.
        own: Any setting of Haulyard (``concurrency``, ``part_size``, ``addressing`` …) and what every
            written object gets: ``storage_class``, ``acl``, ``metadata`` …, ``sse`` (``AES256``,
            ``aws:kms``), ``sse_kms_key_id``, ``sse_bucket_key``, or ``sse_customer_key`` (32 bytes or their
            base64 text), which then goes with reads, too; also s3fs's ``config_kwargs``,
            ``max_concurrency``, ``use_ssl``, ``username`` and ``password``, for what they mean here.

    Raises:
        ValueError: An option has a value that is not allowed.
        TypeError: There is no such option.

    Example:
        >>> fs = fsspec.filesystem("haul", endpoint_url="http://127.0.0.1:8333")
        >>> fs.pipe_file("demo/hello.txt", b"hello, world")
        >>> fs.cat_file("demo/hello.txt", 0, 5)
        b'hello'
    """

    transaction_type = HaulTransaction

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> HaulFile:
        try:
            return HaulFile(
                self, path, mode, block_size, autocommit=autocommit, cache_options=cache_options, **kwargs
            )
        except PermissionError as error:
            if self._given.settings.no_sign_request and (refusal := refusal_before(error)) is not None:
                raise refusal from refusal.__cause__
            raise

    @os_errors
    async def open_async(
        self, path: str, mode: str = "rb", *, version_id: str | None = None, **kwargs: Any
    ) -> AsyncFile | AsyncWrittenFile:
        """Open an object as a file of the running event loop.

        ``rb`` streams it; ``wb``, ``xb`` and ``ab`` write it, with what the object gets as keywords.

        Raises:
            FileNotFoundError: There is nothing to read.
            FileExistsError: ``xb``, and there is an object.
        """
        if mode not in MODES:
            raise ValueError(f"{mode!r} is no mode of an object here: rb, wb, xb or ab")
        target = self._object(path, version_id)
        name = self._strip_protocol(path)
        if mode == "rb":
            return AsyncFile(self, name, target, await self._headed(target))
        writer, kept = await self._opened_writer(name, target, mode, kwargs.pop("block_size", 0), kwargs)
        return AsyncWrittenFile(self, name, mode, writer, kept)

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        return {"version_aware": True} if "?versionId=" in path else {}
