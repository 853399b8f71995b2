"""What `haul doctor` says of permissions and capabilities."""

from __future__ import annotations

import pytest

from haulyard.cli import exits
from haulyard.cli.entitlements import _of_probe, _region, check_capabilities, describe_capabilities
from haulyard.config import resolve
from haulyard.events import ignore
from haulyard.stores.access import Probe
from haulyard.stores.base import Capabilities
from haulyard.stores.diagnosis import Examination
from haulyard.url import S3Url


@pytest.mark.anyio
async def test_on_aws_a_bucket_elsewhere_is_a_warning_and_capabilities_are_known() -> None:
    settings = resolve({"region": "us-east-1"}, {}, "/nowhere")
    async with Examination(settings, None, ignore) as examination:
        found = _region(examination, "b", "eu-central-1")
        assert (found.state, found.hint) == ("warning", "set --region eu-central-1: it saves a redirect")
        known = await check_capabilities(examination, S3Url("b"), "", may_write=True)
    assert {each.state for each in known} == {"ok"}
    assert all("as on all of AWS" in each.detail for each in known)


def test_a_denial_by_kms_names_the_key_and_its_action() -> None:
    key = "arn:aws:kms:eu-west-1:111122223333:key/12345678-aaaa"
    said = f"user is not authorized to perform: kms:GenerateDataKey on resource: {key} with an explicit deny"
    found = _of_probe(Probe("PutObject", "s3:PutObject", ("cp",), "denied", said), "b", "")
    assert found.hint == f"allow kms:GenerateDataKey on {key}; a policy denies it explicitly"


def test_an_access_point_is_named_by_its_arn() -> None:
    arn = "arn:aws:s3:eu-west-1:111122223333:accesspoint/point"
    found = _of_probe(Probe("PutObject", "s3:PutObject", ("cp",), "denied"), arn, "a/")
    assert found.hint == f"allow s3:PutObject on {arn}/object/a/*"
    found = _of_probe(Probe("ListObjectsV2", "s3:ListBucket", ("ls",), "denied"), arn, "a/")
    assert found.hint == f"allow s3:ListBucket on {arn}"


def test_a_call_that_failed_otherwise_ends_in_1() -> None:
    found = _of_probe(Probe("PutObject", "s3:PutObject", ("cp",), "error", "it broke"), "b", "")
    assert (found.state, found.hint, found.code) == ("failed", "it broke", exits.FAILED)


def test_every_capability_that_is_proved_is_told() -> None:
    names = {finding.more["capability"] for finding in describe_capabilities(Capabilities())}
    proved = {
        name for name in Capabilities.__dataclass_fields__ if "| None" in Capabilities.__annotations__[name]
    }
    assert names == proved
