"""One HTTP client over pyreqwest, with the traps of that transport handled, for S3 and for HTTP APIs.

The only room that imports pyreqwest.
"""

from haulyard.http.client import HttpClient
from haulyard.http.config import HttpConfig
from haulyard.http.response import UNREADABLE, HttpResponse

__all__ = ["UNREADABLE", "HttpClient", "HttpConfig", "HttpResponse"]
