"""One HTTP client over pyreqwest, with the traps of that transport handled, for S3 and for HTTP APIs.

The only room that imports pyreqwest.
"""

from haulyard.http.client import HttpClient, HttpResponse
from haulyard.http.config import HttpConfig

__all__ = ["HttpClient", "HttpConfig", "HttpResponse"]
