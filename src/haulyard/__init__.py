"""Moves data into, out of and inside S3 and S3-compatible stores, and accounts for every object.

`Client` and `AsyncClient` are where programs begin, `Job` and `AsyncJob` are for bulk jobs, `Processor` and
`AsyncProcessor` send records to an API, `RotatingSpool`, `Shipper` and `AsyncShipper` ship files,
`read_table`, `scan` and `describe_table` read files as tables, `load_table` and `export_table` write them;
``docs/python-api.md`` describes them with examples. All names are imported when they are first used:
``import haulyard`` costs nothing.
"""

from __future__ import annotations

from haulyard._version import __version__

# The module of that name costs 8 ms, which `haul --version` need not pay.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from haulyard.client.async_client import AsyncClient
    from haulyard.client.client import Client
    from haulyard.client.results import CommonPrefix, TransferResult
    from haulyard.errors import (
        AccessDenied,
        ApiDenied,
        ApiUnavailable,
        ConfigError,
        Conflict,
        DatabaseLocked,
        HaulError,
        IngestError,
        IntegrityError,
        JobError,
        NotFound,
        PreconditionFailed,
        RecordError,
        S3ArchivedError,
        S3AuthError,
        S3ClockError,
        S3Conflict,
        S3CredentialsError,
        S3Error,
        S3GenericError,
        S3IntegrityError,
        S3NetworkError,
        S3NotFound,
        S3PermissionError,
        S3PreconditionFailed,
        S3RateLimit,
        S3RegionError,
        S3ServerError,
        SourceChanged,
        SpoolError,
        StoreError,
        TooManyRejects,
        TransferError,
        TransportError,
        UnsafeName,
        Unsupported,
    )
    from haulyard.events import (
        BytesMoved,
        CallFailed,
        CallsPaused,
        Event,
        RecordFailed,
        RecordsEnded,
        RequestDone,
        RequestRetried,
        RowsRead,
        Throttled,
        TransferDone,
        TransferStarted,
        TypesSought,
        Warned,
    )
    from haulyard.ingest.async_ingesting import export_table_async, load_table_async
    from haulyard.ingest.async_reading import describe_table_async, read_table_async, scan_async
    from haulyard.ingest.embedding.model import Embedded, Embedding
    from haulyard.ingest.ingesting import export_table, load_table
    from haulyard.ingest.loading import Loaded
    from haulyard.ingest.model import Reject
    from haulyard.ingest.reading import describe_table, read_table, scan
    from haulyard.ingest.schema import ColumnInfo, SchemaInfo
    from haulyard.ingest.table_options import TableOptions
    from haulyard.jobs.async_job import AsyncJob
    from haulyard.jobs.job import Job
    from haulyard.jobs.plan import Plan
    from haulyard.jobs.rules import Rules
    from haulyard.jobs.rules.mistakes import RulesError
    from haulyard.models import (
        BucketInfo,
        ByteRange,
        Checksum,
        DeleteOutcome,
        Encryption,
        Grant,
        ObjectAcl,
        ObjectHead,
        ObjectInfo,
        ObjectVersion,
        PresignedPost,
        PresignedUrl,
        PutResult,
        Secret,
    )
    from haulyard.records.async_processor import AsyncProcessor
    from haulyard.records.preview import Preview
    from haulyard.records.processor import Processor
    from haulyard.records.status import RecordsStatus
    from haulyard.spool.account import Shipped
    from haulyard.spool.rotating import RotatingSpool
    from haulyard.spool.shipping import AsyncShipper, Shipper
    from haulyard.stores.access import Probe

__all__ = [
    "AccessDenied",
    "ApiDenied",
    "ApiUnavailable",
    "AsyncClient",
    "AsyncJob",
    "AsyncProcessor",
    "AsyncShipper",
    "BucketInfo",
    "ByteRange",
    "BytesMoved",
    "CallFailed",
    "CallsPaused",
    "Checksum",
    "Client",
    "ColumnInfo",
    "CommonPrefix",
    "ConfigError",
    "Conflict",
    "DatabaseLocked",
    "DeleteOutcome",
    "Embedded",
    "Embedding",
    "Encryption",
    "Event",
    "Grant",
    "HaulError",
    "IngestError",
    "IntegrityError",
    "Job",
    "JobError",
    "Loaded",
    "NotFound",
    "ObjectAcl",
    "ObjectHead",
    "ObjectInfo",
    "ObjectVersion",
    "Plan",
    "PreconditionFailed",
    "PresignedPost",
    "PresignedUrl",
    "Preview",
    "Probe",
    "Processor",
    "PutResult",
    "RecordError",
    "RecordFailed",
    "RecordsEnded",
    "RecordsStatus",
    "Reject",
    "RequestDone",
    "RequestRetried",
    "RotatingSpool",
    "RowsRead",
    "Rules",
    "RulesError",
    "S3ArchivedError",
    "S3AuthError",
    "S3ClockError",
    "S3Conflict",
    "S3CredentialsError",
    "S3Error",
    "S3GenericError",
    "S3IntegrityError",
    "S3NetworkError",
    "S3NotFound",
    "S3PermissionError",
    "S3PreconditionFailed",
    "S3RateLimit",
    "S3RegionError",
    "S3ServerError",
    "SchemaInfo",
    "Secret",
    "Shipped",
    "Shipper",
    "SourceChanged",
    "SpoolError",
    "StoreError",
    "TableOptions",
    "Throttled",
    "TooManyRejects",
    "TransferDone",
    "TransferError",
    "TransferResult",
    "TransferStarted",
    "TransportError",
    "TypesSought",
    "UnsafeName",
    "Unsupported",
    "Warned",
    "__version__",
    "describe_table",
    "describe_table_async",
    "export_table",
    "export_table_async",
    "load_table",
    "load_table_async",
    "read_table",
    "read_table_async",
    "scan",
    "scan_async",
]

_MODULES = {
    "AsyncClient": "haulyard.client.async_client",
    "AsyncJob": "haulyard.jobs.async_job",
    "AsyncProcessor": "haulyard.records.async_processor",
    "AsyncShipper": "haulyard.spool.shipping",
    "Client": "haulyard.client.client",
    "ColumnInfo": "haulyard.ingest.schema",
    "CommonPrefix": "haulyard.client.results",
    "Embedded": "haulyard.ingest.embedding.model",
    "Embedding": "haulyard.ingest.embedding.model",
    "Job": "haulyard.jobs.job",
    "Loaded": "haulyard.ingest.loading",
    "Plan": "haulyard.jobs.plan",
    "Preview": "haulyard.records.preview",
    "Probe": "haulyard.stores.access",
    "Processor": "haulyard.records.processor",
    "RecordsStatus": "haulyard.records.status",
    "Reject": "haulyard.ingest.model",
    "RotatingSpool": "haulyard.spool.rotating",
    "Rules": "haulyard.jobs.rules",
    "RulesError": "haulyard.jobs.rules.mistakes",
    "SchemaInfo": "haulyard.ingest.schema",
    "Shipped": "haulyard.spool.account",
    "Shipper": "haulyard.spool.shipping",
    "TableOptions": "haulyard.ingest.table_options",
    "TransferResult": "haulyard.client.results",
    "describe_table": "haulyard.ingest.reading",
    "describe_table_async": "haulyard.ingest.async_reading",
    "export_table": "haulyard.ingest.ingesting",
    "export_table_async": "haulyard.ingest.async_ingesting",
    "load_table": "haulyard.ingest.ingesting",
    "load_table_async": "haulyard.ingest.async_ingesting",
    "read_table": "haulyard.ingest.reading",
    "read_table_async": "haulyard.ingest.async_reading",
    "scan": "haulyard.ingest.reading",
    "scan_async": "haulyard.ingest.async_reading",
}
#: Where all other names come from; each is in one of them.
_ROOMS = ("haulyard.errors", "haulyard.models", "haulyard.events")

# A type checker that saw it would take any name for one of ours.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        for module in (_MODULES[name],) if name in _MODULES else _ROOMS:
            found = getattr(import_module(module), name, None)
            if found is not None:
                globals()[name] = found
                return found
        raise AssertionError(name)


def __dir__() -> list[str]:
    return list(__all__)
