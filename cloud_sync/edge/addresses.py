"""Addresses of the far end that may be used."""

from ipaddress import ip_address
from urllib.parse import urlsplit


def checked_url(url: str) -> str:
    """Return the address without its closing slash.

    Raises:
        ValueError: it is none, or would send secrets in the clear to another machine.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query:
        raise ValueError("needs the form https://host or https://host:port/path")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("must begin with https://; http:// is for this machine only")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
