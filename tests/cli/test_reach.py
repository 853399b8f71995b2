"""The steps of the way to a server; `tests/cli/test_doctor.py` goes it."""

from __future__ import annotations

import pytest

from haulyard.cli import reach


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_proxy_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reach.proxy_for("https", "s3.example") == ""
    monkeypatch.setenv("https_proxy", "http://user:hidden@proxy.example:3128")
    assert reach.proxy_for("https", "s3.example") == "proxy.example:3128"
    assert reach.proxy_for("http", "s3.example") == ""
    monkeypatch.setenv("no_proxy", "s3.example")
    assert reach.proxy_for("https", "s3.example") == ""
