"""Canned ACLs as owner and grants, for stores that have to spell them out themselves.

Source: "Access control list (ACL) overview", canned ACL; the bucket's owner is the object's here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from haulyard.errors import StoreError
from haulyard.models import Grant, ObjectAcl

if TYPE_CHECKING:
    from collections.abc import Mapping

OWNER: Final = "owner"
_EVERYBODY: Final = "http://acs.amazonaws.com/groups/global/AllUsers"
_AUTHENTICATED: Final = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"

_FULL = Grant(OWNER, "FULL_CONTROL")
_CANNED: Final[dict[str, tuple[Grant, ...]]] = {
    "private": (_FULL,),
    "bucket-owner-read": (_FULL,),
    "bucket-owner-full-control": (_FULL,),
    "public-read": (_FULL, Grant(_EVERYBODY, "READ", "Group")),
    "public-read-write": (_FULL, Grant(_EVERYBODY, "READ", "Group"), Grant(_EVERYBODY, "WRITE", "Group")),
    "authenticated-read": (_FULL, Grant(_AUTHENTICATED, "READ", "Group")),
}


def canned_acl(name: str) -> ObjectAcl:
    """Return what a canned ACL stands for.

    Raises:
        StoreError: with code ``InvalidArgument``, if there is none of that name.
    """
    if name not in _CANNED:
        raise StoreError(
            f"there is no canned ACL {name!r}", code="InvalidArgument", hint=f"one of {', '.join(_CANNED)}"
        )
    return ObjectAcl(OWNER, _CANNED[name])


def acl_of(canned: str, grants: Mapping[str, str]) -> ObjectAcl:
    """Return the ACL of a new object: canned (private unless named), or what ``grants`` give to whom."""
    if not grants:
        return canned_acl(canned or "private")
    given = (Grant(grantee, kind.upper().replace("-", "_")) for kind, grantee in grants.items())
    return ObjectAcl(OWNER, (_FULL, *given))
