"""ACLs of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.errors import ConfigError
from haulyard.models import Grant, ObjectAcl
from haulyard.s3.acl import get_object_acl, parse_acl, put_object_acl
from haulyard.s3.xml import BadXml

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.s3.conftest import Botocore, Sent

    from haulyard.s3.request import Request

EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"
ACL = ObjectAcl(
    "75aa",
    (
        Grant("75aa", "FULL_CONTROL"),
        Grant(EVERYBODY, "READ", "Group"),
        Grant("me@example.com", "READ_ACP", "AmazonCustomerByEmail"),
    ),
)


def test_calls_are_those_of_botocore(aws: Botocore, sent: Callable[[Request], Sent]) -> None:
    assert sent(get_object_acl("b", "k", "v")) == aws.sends(
        "get_object_acl", Bucket="b", Key="k", VersionId="v"
    )
    assert sent(put_object_acl("b", "k", "private")) == aws.sends(
        "put_object_acl", Bucket="b", Key="k", ACL="private"
    )
    assert sent(put_object_acl("b", "k", ACL, "v")) == aws.sends(
        "put_object_acl",
        Bucket="b",
        Key="k",
        VersionId="v",
        AccessControlPolicy={
            "Owner": {"ID": "75aa"},
            "Grants": [
                {"Grantee": {"Type": "CanonicalUser", "ID": "75aa"}, "Permission": "FULL_CONTROL"},
                {"Grantee": {"Type": "Group", "URI": EVERYBODY}, "Permission": "READ"},
                {
                    "Grantee": {"Type": "AmazonCustomerByEmail", "EmailAddress": "me@example.com"},
                    "Permission": "READ_ACP",
                },
            ],
        },
    )


def test_an_acl_comes_back_as_it_went() -> None:
    body = put_object_acl("b", "k", ACL).body
    assert isinstance(body, bytes)
    assert parse_acl(body) == ACL


def test_the_kind_of_a_grantee_may_be_an_element() -> None:
    body = (
        b"<AccessControlPolicy><Owner><ID>o</ID></Owner><AccessControlList><Grant><Grantee><Type>Group</Type>"
        b"<URI>u</URI></Grantee><Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>"
    )
    assert parse_acl(body) == ObjectAcl("o", (Grant("u", "READ", "Group"),))
    assert parse_acl(b"<AccessControlPolicy/>") == ObjectAcl("", ())


def test_what_cannot_be_sent_or_read_is_refused() -> None:
    for acl in (ObjectAcl("o", (Grant("x", "READ", "Robot"),)), ObjectAcl("\0", ()), "private\n"):
        with pytest.raises(ConfigError):
            put_object_acl("b", "k", acl)
    for body in (
        b"<Error/>",
        b"<AccessControlPolicy><AccessControlList><Grant/></AccessControlList></AccessControlPolicy>",
    ):
        with pytest.raises(BadXml):
            parse_acl(body)
