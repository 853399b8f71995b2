"""What can go wrong, one row each, and where it is held against the code.

`ROWS` are tested in this folder, against the scripted server with everything above it real: a test names its
row with ``@pytest.mark.row("…")``. `ELSEWHERE` are tested where the room is that answers for them.
"""

from __future__ import annotations

from typing import Final

ROWS: Final = {
    # Requests and their answers
    "throttling": "503 SlowDown, 429, RequestLimitExceeded, Throttling*",
    "transient": "500, 502, 504, connect, reset, timeout",
    "false success": "200 with an <Error> or an unparsable body",
    "batch delete": "DeleteObjects, per-key errors",
    "broken body": "body reset or cut short",
    "wrong range": "a range answered with 200, or with no or a wrong Content-Range",
    "replaced meanwhile": "object replaced between two ranges",
    "stale connection": "stale keep-alive connection, 400 RequestTimeout",
    "clock": "RequestTimeTooSkewed",
    "expired credentials": "ExpiredToken, ExpiredTokenException in mid-run",
    "wrong region": "301, 307, 400 AuthorizationHeaderMalformed",
    "write timed out": "a write that timed out",
    "mute head": "HEAD answered 400/403 without a body",
    "lost completion": "NoSuchUpload after a lost answer to Complete",
    "own condition": "412 after our own retried conditional write",
    "conflict": "409 ConditionalRequestConflict",
    "parts in flight": "aborting while parts are in flight",
    "stuck listing": "NextContinuationToken that does not advance; empty page with a token",
    "archived": "InvalidObjectState (Glacier)",
    "kms": "KMS AccessDenied",
    "customer key": "SSE-C",
    "missing or denied": "missing key without ListBucket permission",
    "etag": "the ETag is opaque, an MD5 only of plain single-part objects",
    "checksum kinds": "COMPOSITE and FULL_OBJECT checksums are different things",
    "requester pays": "only on an explicit flag",
    "versions": "deletes write markers; HEAD of a marker; no second marker without need",
    "xml": "any DOCTYPE is refused; sizes are bounded; encoding-type=url on every listing",
    # Integrity
    "checksum sent": "a checksum goes with every write, as a plain header, and the environment may say no",
    "checksum read": "what is read is verified by the store's checksum, and the environment may say no",
    "read again": "what is sent is read again from its start for each attempt, and counted",
    "content md5": "older stores want Content-MD5 on DeleteObjects",
    "conditional writes": "If-None-Match: * and If-Match on writes and deletes",
    # Security
    "secrets": "no secret, token, SSE-C key, presigned URL or Authorization header in errors and events",
    "hosts": "a region or bucket name that is no valid host label is refused; no redirect is followed",
    "multi-region": "multi-region access points need SigV4A: refused by name",
    "older stores": "older stores ignore checksums or give an empty ETag: verified by what there is",
    # Bulk jobs
    "source replaced": "a job's source is overwritten between plan and copy, or between copy and delete",
    "destination appears": "something appears at a job's destination meanwhile",
    "same keys": "two jobs move the same keys at once",
    "copy fails with 200": "a job's copy is answered 200, with an error in it",
    "three of a batch": "DeleteObjects answers a job with three per-key errors",
    "right withdrawn": "a permission is withdrawn while a job runs",
    "journal full": "the disk is full under a job's journal",
    "onto itself": "a move onto itself",
    "odd keys": "a job's keys have every odd character",
    "answers lost": "the answers to a job's copies and deletes are lost",
    "archived meanwhile": "an object is archived between plan and copy",
}

ELSEWHERE: Final = {
    "a crash between CreateMultipartUpload and keeping its id": "tests/transfer/test_multipart.py",
    "DNS failures, and what each failure of a connection proves": "tests/http/test_failures.py",
    "Retry: attempts, budget, pauses, patience": "tests/s3/layers/test_retry.py",
    "stores that throttle for long, in virtual time": "tests/s3/layers/test_throttling.py",
    "a write that was given up and comes late": "tests/http/test_unsettled.py",
    "certificates, authorities and verification": "tests/http/test_trust.py",
    "unseekable input has a bounded buffer": "tests/transfer/test_unseekable.py",
    "what an endpoint honours is proved once and remembered": "tests/stores/access",
    "keys become file names beneath the target or not at all": "tests/stores/test_tree.py",
    "presigned URLs last at most 7 days": "tests/s3/test_presign.py",
    "endpoints only when asked for; names that are no host labels": "tests/s3/test_endpoint.py",
}
