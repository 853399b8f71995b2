"""Addresses, against botocore's endpoint rule set for AWS and by table for everything else."""

from __future__ import annotations

from functools import cache

import botocore.exceptions
import botocore.loaders
import pytest
from botocore.endpoint_provider import EndpointProvider
from hypothesis import example, given, settings
from hypothesis import strategies as st

from haulyard.errors import ConfigError, UnsafeName
from haulyard.s3.endpoint import EndpointConfig, is_loopback_host, parse_endpoint, resolve

REGIONS = [
    "us-east-1",
    "eu-central-1",
    "ap-southeast-7",
    "cn-north-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "us-isob-east-1",
    "eu-isoe-west-1",
    "us-isof-south-1",
    "eusc-de-east-1",
    "xx-unknown-9",
]
BUCKETS = [
    "",
    "bucket",
    "a-b-c",
    "12345",
    "my.dotted.bucket",
    "Upper",
    "under_score",
    "ab",
    "10.0.0.1",
    "b" * 63,
    "b" * 64,
    "arn:aws:s3:us-west-2:123456789012:accesspoint/name",
    "arn:aws:s3:eu-west-1:123456789012:accesspoint:na-me",
    "arn:aws-cn:s3:cn-north-1:123456789012:accesspoint/name",
    "arn:aws-us-gov:s3:us-gov-west-1:123456789012:accesspoint/name",
]
ENDPOINTS = [
    "",
    "https://h.example",
    "http://h.example:9000",
    "http://127.0.0.1:8333",
    "https://h.example/below",
]


@cache
def rules() -> EndpointProvider:
    loader = botocore.loaders.Loader()
    return EndpointProvider(
        loader.load_service_model("s3", "endpoint-rule-set-1"), loader.load_data("partitions")
    )


def botocore_address(config: EndpointConfig, bucket: str) -> tuple[str, str]:
    """Return URL and signing region by the rule set, fed as botocore's client feeds it."""
    if config.endpoint_url:
        force_path = config.addressing != "virtual"
    else:
        force_path = config.addressing == "path" and not config.accelerate
    if bucket.startswith("arn:"):
        force_path = config.addressing == "path"
    parameters = {
        "Region": config.region,
        "UseFIPS": config.fips,
        "UseDualStack": config.dualstack,
        "Accelerate": config.accelerate and bool(bucket),
        "ForcePathStyle": force_path,
        "UseGlobalEndpoint": False,
        "DisableMultiRegionAccessPoints": False,
        "UseArnRegion": True,
    }
    if bucket:
        parameters["Bucket"] = bucket
    if config.endpoint_url:
        parameters["Endpoint"] = config.endpoint_url
    found = rules().resolve_endpoint(**parameters)
    return found.url, found.properties["authSchemes"][0]["signingRegion"]


@given(
    bucket=st.sampled_from(BUCKETS),
    config=st.builds(
        EndpointConfig,
        endpoint_url=st.sampled_from(ENDPOINTS),
        region=st.sampled_from(REGIONS),
        addressing=st.sampled_from(["auto", "path", "virtual"]),
        dualstack=st.booleans(),
        fips=st.booleans(),
        accelerate=st.booleans(),
    ),
)
@settings(max_examples=500)
@example(bucket="bucket", config=EndpointConfig(region="us-east-1"))
@example(bucket="bucket", config=EndpointConfig(region="us-east-1", accelerate=True, dualstack=True))
def test_addresses_equal_botocores_rules(bucket: str, config: EndpointConfig) -> None:
    if differs_on_purpose(config, bucket):
        with pytest.raises(ConfigError):
            resolve(config, bucket)
        return
    try:
        expected = botocore_address(config, bucket)
    except botocore.exceptions.EndpointProviderError:
        with pytest.raises(ConfigError):
            resolve(config, bucket)
        return
    ours = resolve(config, bucket)
    if "127.0.0.1" in config.endpoint_url and "." in bucket and config.addressing == "virtual":
        # botocore makes the host bucket.127.0.0.1 of it.
        assert not ours.virtual
        return
    url = ours.base_url + ours.path("")[0]
    assert (url.rstrip("/"), ours.signing_region) == (expected[0].rstrip("/"), expected[1])
    assert ours.signing_service == "s3"


def differs_on_purpose(config: EndpointConfig, bucket: str) -> bool:
    """Where we refuse what botocore lets pass."""
    host_bucket = bucket not in {"Upper", "under_score", "ab", "10.0.0.1", "b" * 64}
    if config.endpoint_url:
        if config.accelerate:
            return True
        # Virtual hosting asked for, and impossible: botocore silently takes the path.
        is_ip = "127.0.0.1" in config.endpoint_url
        return config.addressing == "virtual" and not host_bucket and not is_ip
    # Path style asked for, and acceleration too: botocore drops the first.
    if config.accelerate and config.addressing == "path" and bucket:
        return True
    # botocore drops acceleration for a bucket with dots or one that fits no host name.
    return config.accelerate and (not host_bucket or "." in bucket)


def test_the_region_that_was_learned_wins_over_the_configured_one() -> None:
    address = resolve(EndpointConfig(region="us-east-1"), "bucket", "eu-west-1")
    assert (address.authority, address.signing_region) == ("bucket.s3.eu-west-1.amazonaws.com", "eu-west-1")


@pytest.mark.parametrize(
    ("endpoint", "region"),
    [
        ("", "us-east-1"),
        ("https://storage.example", "us-east-1"),
        ("https://s3.eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://s3.amazonaws.com", "us-east-1"),
    ],
)
def test_without_a_region_the_host_or_the_default_decides(endpoint: str, region: str) -> None:
    assert resolve(EndpointConfig(endpoint), "bucket").signing_region == region


def test_the_old_name_of_no_region_is_us_east_1() -> None:
    assert resolve(EndpointConfig(region="aws-global"), "bucket").signing_region == "us-east-1"


def test_a_custom_endpoint_takes_any_bucket_in_its_path() -> None:
    address = resolve(EndpointConfig("http://127.0.0.1:8333"), "Old_Bucket")
    assert address.base_url == "http://127.0.0.1:8333"
    assert address.path("a/b") == ("/Old_Bucket/a/b", "/Old_Bucket/a/b")
    assert not address.virtual


def test_the_host_header_has_no_default_port() -> None:
    assert resolve(EndpointConfig("https://Store.Example:443"), "b").authority == "store.example"
    assert resolve(EndpointConfig("http://store.example:443"), "b").authority == "store.example:443"
    assert resolve(EndpointConfig("http://[::1]:80"), "b").authority == "[::1]"


def test_an_endpoint_may_have_a_path_of_its_own() -> None:
    address = resolve(EndpointConfig("https://h.example/s3/"), "bucket")
    assert address.path("a/../b") == ("/s3/bucket/a%2F..%2Fb", "/s3/bucket/a/../b")
    virtual = resolve(EndpointConfig("https://h.example/s3/", addressing="virtual"), "bucket")
    assert (virtual.authority, virtual.path("k")) == ("bucket.h.example", ("/s3/k", "/s3/k"))


def test_a_key_that_no_url_can_express_is_refused() -> None:
    with pytest.raises(UnsafeName):
        resolve(EndpointConfig(), "bucket").path("..")


@pytest.mark.parametrize(
    "url",
    [
        "storage.example:9000",
        "ftp://storage.example",
        "https://",
        "https://user:SECRET@storage.example",
        "https://storage.example/?sig=SECRET",
        "https://storage.example/#SECRET",
        "https://storage.example:99999",
        "https://storage.example:port",
        "https://storage.example/a/../b",
        "https://storage.example//b",
        "https://sto rage.example",
        "https://storage.example\n",
    ],
)
def test_an_invalid_endpoint_is_refused_without_repeating_secrets(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(EndpointConfig(url), "bucket")
    assert "SECRET" not in str(caught.value)


def test_an_endpoint_without_a_scheme_is_named() -> None:
    with pytest.raises(ConfigError, match=r"storage\.example:9000 has no scheme"):
        parse_endpoint("storage.example:9000")


@pytest.mark.parametrize("region", ["eu_west", "-x", "a/b", "a.b", "x" * 64, "evil.example/"])
def test_a_region_that_is_no_host_label_is_refused(region: str) -> None:
    with pytest.raises(ConfigError, match="no region"):
        resolve(EndpointConfig(region=region), "bucket")
    with pytest.raises(ConfigError, match="no region"):
        resolve(EndpointConfig(), "bucket", region)


@pytest.mark.parametrize("bucket", ["..", "a/b", "evil.example#", "b--use1-az4--x-s3", "b@c"])
def test_a_bucket_that_could_change_the_host_is_refused(bucket: str) -> None:
    with pytest.raises(ConfigError):
        resolve(EndpointConfig("http://h.example", addressing="virtual"), bucket)


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(ConfigError, match="addressing"):
        resolve(EndpointConfig(addressing="flat"), "bucket")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("store.localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("[::1]", True),
        ("::1", True),
        ("127.evil.example", False),
        ("localhost.example", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback_is_this_machine_only(host: str, *, expected: bool) -> None:
    assert is_loopback_host(host) is expected


def test_secrets_may_travel_encrypted_or_within_the_machine_only() -> None:
    private = {
        url: resolve(EndpointConfig(url), "b").is_private
        for url in ("", "https://h.example", "http://h.example", "http://localhost:1")
    }
    assert list(private.values()) == [True, True, False, True]
