"""The access control list of an object.

Signatures::

    get_object_acl(bucket, key, version_id="") -> Request
    put_object_acl(bucket, key, acl, version_id="") -> Request             ObjectAcl or a canned ACL's name
    parse_acl(body) -> ObjectAcl                                raises BadXml
"""

from __future__ import annotations

from haulyard.errors import ConfigError
from haulyard.models.objects import Grant, ObjectAcl
from haulyard.s3.checksums import content_md5, crc32_header
from haulyard.s3.headers import checked
from haulyard.s3.request import Request
from haulyard.s3.xml import BadXml, Element, document, escape, leaf, parse, succeeded_as

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
# How each kind of grantee is named.
_NAMED_BY = {"CanonicalUser": "ID", "Group": "URI", "AmazonCustomerByEmail": "EmailAddress"}

_acl_read = succeeded_as("AccessControlPolicy")


def _query(version_id: str) -> tuple[tuple[str, str], ...]:
    return (("acl", ""), ("versionId", version_id)) if version_id else (("acl", ""),)


def get_object_acl(bucket: str, key: str, version_id: str = "") -> Request:
    """Read the ACL of an object or a version."""
    return Request("GetObjectAcl", "GET", bucket, key, _query(version_id), classify=_acl_read)


def put_object_acl(bucket: str, key: str, acl: ObjectAcl | str, version_id: str = "") -> Request:
    """Replace the ACL of an object or a version, by grants or by the name of a canned ACL.

    Raises:
        ConfigError: an unknown kind of grantee, or a value that cannot be sent.
    """
    if isinstance(acl, str):
        headers = {"x-amz-acl": checked("x-amz-acl", acl)}
        body = b""
    else:
        try:
            owner = f"<Owner>{leaf('ID', acl.owner)}</Owner>"
            grants = "".join(map(_grant_element, acl.grants))
        except BadXml:
            raise ConfigError("an ACL with control characters", hint="check owner and grantees") from None
        body = document("AccessControlPolicy", f"{owner}<AccessControlList>{grants}</AccessControlList>")
        headers = {"content-type": "application/xml", "content-md5": content_md5(body), **crc32_header(body)}
    return Request("PutObjectAcl", "PUT", bucket, key, _query(version_id), headers, body, kind="write")


def _grant_element(grant: Grant) -> str:
    name = _NAMED_BY.get(grant.kind)
    if name is None:
        raise ConfigError(f"unknown kind of grantee {grant.kind!r}", hint=f"one of {', '.join(_NAMED_BY)}")
    attributes = f'xmlns:xsi="{_XSI}" xsi:type="{escape(grant.kind)}"'
    grantee = f"<Grantee {attributes}>{leaf(name, grant.grantee)}</Grantee>"
    return f"<Grant>{grantee}{leaf('Permission', grant.permission)}</Grant>"


def parse_acl(body: bytes) -> ObjectAcl:
    """Return owner and grants.

    Raises:
        BadXml: the answer is no ``AccessControlPolicy``.
    """
    root = parse(body, "AccessControlPolicy")
    owner, grants = root.find("Owner"), root.find("AccessControlList")
    return ObjectAcl(
        "" if owner is None else owner.value("ID"),
        tuple(_grant(grant) for grant in ([] if grants is None else grants.all("Grant"))),
    )


def _grant(element: Element) -> Grant:
    grantee = element.find("Grantee")
    if grantee is None:
        raise BadXml("grants something to nobody")
    kind = grantee.attributes.get("type", "") or grantee.value("Type") or "CanonicalUser"
    return Grant(grantee.value(_NAMED_BY.get(kind, "ID")), element.value("Permission"), kind)
