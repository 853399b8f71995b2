"""What s3fs and botocore call the settings of a filesystem, by Haulyard's names. Pure.

Programs that come from s3fs bring their ``storage_options`` along. What means something here is understood;
what only tunes how s3fs works is taken and does nothing; all else is refused by name.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: boto3's names of settings, as s3fs takes them in ``client_kwargs``.
_CLIENT: Final = {
    "endpoint_url": "endpoint_url",
    "region_name": "region",
    "aws_access_key_id": "key",
    "aws_secret_access_key": "secret",
    "aws_session_token": "token",
}
#: botocore's names of settings, as s3fs takes them in ``config_kwargs``, and in ``s3`` inside it.
_CONFIG: Final = {
    "region_name": "region",
    "max_pool_connections": "concurrency",
    "use_dualstack_endpoint": "use_dualstack",
    "use_fips_endpoint": "use_fips",
    "request_checksum_calculation": "request_checksum_calculation",
    "response_checksum_validation": "response_checksum_validation",
}
_CONFIG_S3: Final = {
    "addressing_style": "addressing",
    "use_accelerate_endpoint": "accelerate",
    "use_dualstack_endpoint": "use_dualstack",
}
#: What ``s3_additional_kwargs`` says of all requests.
_REQUESTS: Final = {
    "ChecksumAlgorithm": "checksum_algorithm",
    "ExpectedBucketOwner": "expected_bucket_owner",
    "RequestPayer": "request_payer",
}
#: s3fs's older names of keys.
_KEYS: Final = {"username": "key", "password": "secret"}
#: Options that only say how s3fs caches; here ``cache_type`` does, and regions are always remembered.
WITHOUT_EFFECT: Final = frozenset(("cache_regions", "default_fill_cache", "fill_cache"))
#: What programs give to `open` for reading, which does nothing in s3fs either: dask its ``default_cache``,
#: the examples of kerchunk the options of their filesystem.
IN_OPEN: Final = WITHOUT_EFFECT | {"anon", "default_cache", "default_cache_type"}
_SIGNATURES: Final = frozenset(("s3v4", "v4"))


def settings_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that s3fs's own options come to; ``key secret token`` are among them.

    ``options`` may hold ``client_kwargs``, ``config_kwargs``, ``username`` and ``password``; others are
    passed over.

    Raises:
        TypeError: A name inside of ``client_kwargs`` or ``config_kwargs`` that does nothing here.
        ConfigError: A value that is not possible here.
    """
    client = dict(options.get("client_kwargs") or {})
    verify = client.pop("verify", None)
    client.pop("use_ssl", None)
    settings = known(client, _CLIENT, "client_kwargs", ("verify", "use_ssl"))
    settings.update(_configured(options.get("config_kwargs") or {}))
    if isinstance(verify, bool):
        settings["verify_ssl"] = verify
    elif verify is not None:
        settings["ca_bundle"] = verify
    for theirs, ours in _KEYS.items():
        if options.get(theirs):
            settings.setdefault(ours, options[theirs])
    return settings


def check_ssl(options: Mapping[str, Any], endpoint_url: str) -> None:
    """Check ``use_ssl``, as an option or inside of ``client_kwargs``: here the endpoint's scheme decides.

    Raises:
        ConfigError: It is False, and the endpoint is none of http.
    """
    use_ssl = (options.get("client_kwargs") or {}).get("use_ssl", options.get("use_ssl"))
    if use_ssl is not None and not use_ssl and not endpoint_url.startswith("http://"):
        raise ConfigError(
            "use_ssl=False goes with an endpoint of http:// only",
            hint='give endpoint_url="http://…", or leave use_ssl out',
        )


def taken_requests(named: dict[str, Any]) -> dict[str, Any]:
    """Take out of ``s3_additional_kwargs`` what it says of all requests, and return that as settings."""
    return {ours: named.pop(theirs) for theirs, ours in _REQUESTS.items() if theirs in named}


def known(
    named: Mapping[str, Any], names: Mapping[str, str], where: str, others: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return what is named by our names.

    Raises:
        TypeError: A name that is not among ``names``; the message has ``others``, too.
    """
    found: dict[str, Any] = {}
    for name, value in named.items():
        if name not in names:
            understood = ", ".join((*names, *others))
            raise TypeError(f"{where} has {name!r}, which does nothing here; known are {understood}")
        found[names[name]] = value
    return found


def _configured(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the fields of a botocore ``Config`` come to."""
    config = dict(given)
    signature = config.pop("signature_version", None)
    s3 = config.pop("s3", None) or {}
    attempts = dict(config.pop("retries", None) or {})
    settings = known(config, _CONFIG, "config_kwargs", ("signature_version", "s3", "retries"))
    settings.update(known(s3, _CONFIG_S3, "config_kwargs['s3']"))
    # How pauses grow is not for botocore to say.
    attempts.pop("mode", None)
    if (retries := attempts.pop("max_attempts", None)) is not None:
        # botocore does not count the first.
        settings["retries"] = retries + 1
    names = {"total_max_attempts": "retries"}
    settings.update(known(attempts, names, "config_kwargs['retries']", ("max_attempts", "mode")))
    if signature is not None and signature is getattr(sys.modules.get("botocore"), "UNSIGNED", None):
        settings["no_sign_request"] = True
    elif signature is not None and signature not in _SIGNATURES:
        raise ConfigError(
            f"signature_version={signature!r} is not possible",
            hint="requests are signed by s3v4: leave it out",
        )
    return settings
