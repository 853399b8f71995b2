"""For people who test what they write against S3 and HTTP APIs.

- `haulyard.testing.api`: an HTTP API that fails exactly as told and remembers every call.
- `haulyard.testing.faults`: an S3 server in this process that misbehaves exactly as told.
- `haulyard.testing.store_suite`: the conformance suite that every Store has to pass.

Nothing in `haulyard` itself imports this package.
"""
