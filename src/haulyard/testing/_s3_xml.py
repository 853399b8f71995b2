"""The XML that S3 answers with, and which status goes with which error code."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from haulyard.testing._http1 import Answer

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"

# The error codes that are used here. The first of a status is what that status alone stands for.
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
STATUS_OF: Final = {
    "TemporaryRedirect": 307,
    "PermanentRedirect": 301,
    "InvalidRequest": 400,
    "BadDigest": 400,
    "EntityTooSmall": 400,
    "InvalidArgument": 400,
    "InvalidPart": 400,
    "InvalidPartOrder": 400,
    "MalformedXML": 400,
    "XAmzContentSHA256Mismatch": 400,
    "AccessDenied": 403,
    "RequestTimeTooSkewed": 403,
    "NoSuchKey": 404,
    "NoSuchBucket": 404,
    "NoSuchUpload": 404,
    "MethodNotAllowed": 405,
    "ConditionalRequestConflict": 409,
    "BucketAlreadyOwnedByYou": 409,
    "BucketNotEmpty": 409,
    "PreconditionFailed": 412,
    "InvalidRange": 416,
    "TooManyRequests": 429,
    "InternalError": 500,
    "NotImplemented": 501,
    "BadGateway": 502,
    "SlowDown": 503,
    "GatewayTimeout": 504,
}


class Refused(Exception):
    """A request that S3 answers with an error."""

    def __init__(self, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.code = code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(self) -> Answer:
        return error_answer(STATUS_OF[self.code], self.code, str(self), self.headers)


def error_xml(code: str, message: str = "", **elements: str) -> bytes:
    """Return the body of an S3 error.

    Args:
        code: As in S3's list of error codes: `SlowDown`, `InternalError`, `NoSuchKey` …
        message: For people.
        elements: Further elements by name, such as `Region="eu-west-1"` or `RequestId="…"`.
    """
    inside = {"Code": code, "Message": message, **elements}
    children = "".join(element(name, text) for name, text in inside.items())
    return (DECLARATION + f"<Error>{children}</Error>").encode()


def error_answer(
    status: int, code: str | None = None, message: str = "", headers: dict[str, str] | None = None
) -> Answer:
    """Return an error as S3 sends it; without a code, the commonest one of that status."""
    if code is None:
        code = next((code for code, of in STATUS_OF.items() if of == status), f"Http{status}")
    body = error_xml(code, message or f"{code} as scripted")
    return Answer(status, {"content-type": "application/xml", **(headers or {})}, body)


def element(name: str, text: str) -> str:
    """Return an element that holds text."""
    return f"<{name}>{escape(text)}</{name}>"


def group(name: str, **texts: str) -> str:
    """Return an element that holds one element for each text."""
    return f"<{name}>{''.join(element(child, text) for child, text in texts.items())}</{name}>"


def document(name: str, *children: str) -> Answer:
    """Return a 200 with a whole document; the children are XML already."""
    body = f'{DECLARATION}<{name} xmlns="{NAMESPACE}">{"".join(children)}</{name}>'
    return Answer(200, {"content-type": "application/xml"}, body.encode())


def parse_xml(body: bytes, wanted: str) -> list[dict[str, str]]:
    """Return the texts inside each child element of a name, whatever its namespace.

    Raises:
        Refused: MalformedXML.
    """
    try:
        root = ET.fromstring(body)  # noqa: S314 - what a test sends to its own server
    except ET.ParseError:
        raise Refused("MalformedXML", "The XML you provided was not well-formed") from None
    return [
        {_local_name(child): child.text or "" for child in item}
        for item in root.iter()
        if _local_name(item) == wanted
    ]


def _local_name(item: ET.Element) -> str:
    return item.tag.rpartition("}")[2]
