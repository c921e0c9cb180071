"""Which addresses a webhook may go to.

Whoever sets one up chooses an address that this machine then connects to. So only public ones are
taken, by https; a name is looked up when something is sent, every address that it has is judged,
and the connection goes to the very address that was judged. Networks of the company's own are
named in the setting ``webhook_private``; there, and only there, plain http will do too.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from dialer.domain.sending_says import Undelivered

LONGEST = 500
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressError(Exception):
    """The address is none that a webhook may go to; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect: ``address`` was judged, ``host`` is what the certificate has to say."""

    secure: bool
    host: str
    port: int
    address: str
    path: str

    @property
    def url(self) -> str:
        """By the address that was judged."""
        shown = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'https' if self.secure else 'http'}://{shown}:{self.port}{self.path}"

    @property
    def host_header(self) -> str:
        """As the other side knows itself."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        usual = 443 if self.secure else 80
        return shown if self.port == usual else f"{shown}:{self.port}"


def check_url(url: str, private: Sequence[str]) -> None:
    """What can be told of an address without looking its name up. Raises AddressError."""
    secure, host, port, _ = _parts(url)
    literal = _literal(host)
    if literal is not None:
        _judge(literal, private, secure)
    elif not secure and not private:
        raise AddressError(Undelivered.HTTPS_ONLY.say())
    elif host == "localhost" and not private:
        raise AddressError(Undelivered.THIS_MACHINE.say())
    if port == 0:
        raise AddressError(Undelivered.NO_PORT.say())


def target_of(url: str, private: Sequence[str], resolve: Resolve | None = None) -> Target:
    """Where a webhook goes, with its name looked up. Raises AddressError; OSError where the name
    cannot be looked up."""
    secure, host, port, path = _parts(url)
    found = (resolve or _look_up)(host, port)
    if not found:
        raise OSError("no address")
    for one in found:
        _judge(ipaddress.ip_address(one.partition("%")[0]), private, secure)
    return Target(secure, host, port, found[0].partition("%")[0], path)


def _parts(url: str) -> tuple[bool, str, int, str]:
    if len(url) > LONGEST or not url.isascii() or not url.isprintable() or " " in url:
        raise AddressError(Undelivered.LIKE_A_URL.say())
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        raise AddressError(Undelivered.LIKE_A_URL.say()) from None
    if split.scheme not in ("https", "http") or not split.hostname:
        raise AddressError(Undelivered.LIKE_A_URL.say())
    if split.username is not None or split.password is not None or split.fragment or "\\" in url:
        raise AddressError(Undelivered.NO_USER.say())
    secure = split.scheme == "https"
    path = (split.path or "/") + (f"?{split.query}" if split.query else "")
    return secure, split.hostname, port if port is not None else (443 if secure else 80), path


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        # 2130706433, 0x7f.1 and the like: some libraries take them for addresses.
        if host.replace(".", "").isdigit() or host.lower().startswith("0x"):
            raise AddressError(Undelivered.BY_NAME.say()) from None
        return None


def _judge(address: Address, private: Sequence[str], secure: bool) -> None:
    whole = _embedded(address)
    for network in private:
        if whole in ipaddress.ip_network(network):
            return
    if not whole.is_global or whole.is_multicast:
        raise AddressError(Undelivered.WITHIN.say())
    if not secure:
        raise AddressError(Undelivered.HTTPS_ONLY.say())


def _embedded(address: Address) -> Address:
    """The IPv4 address within an IPv6 one, where there is one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))
