"""Where a device is, as the user writes it: `local`, `ssh://[user@]host[:port]`, `adb`, `adb:SERIAL`, `fake:NAME`.

Whatever passes here may stand in an argument list: nothing begins with '-', and no blank, control character or sign
that a shell knows is left.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import Literal

from edgenet.errors import InputError

Kind = Literal["local", "ssh", "adb", "fake"]
FORMS = "local, ssh://[user@]host[:port], adb, adb:SERIAL, fake:NAME"

USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}")
HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
# host:port is a serial, and [::1]:5555 too; so is usb:1-4.2, and adb-XX._adb-tls-connect._tcp from mDNS.
SERIAL = re.compile(r"\[[0-9A-Fa-f:.]{2,45}\]:[0-9]{1,5}|[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
SCOPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,15}")
SSH = "ssh://"
LONGEST_SHOWN = 80


@dataclass(frozen=True)
class Address:
    """A device's address; what its kind does not have is empty.

    An empty `user` and a `port` of 0 leave the choice to the user's SSH configuration. `host` is without brackets.
    An empty `serial` is the only Android device there is.
    """

    kind: Kind
    host: str = ""
    user: str = ""
    port: int = 0
    serial: str = ""
    name: str = ""

    def __str__(self) -> str:
        """Return the text that parses to this address."""
        if self.kind == "ssh":
            host = f"[{self.host}]" if ":" in self.host else self.host
            return SSH + (f"{self.user}@" if self.user else "") + host + (f":{self.port}" if self.port else "")
        rest = self.serial or self.name
        return f"{self.kind}:{rest}" if rest else self.kind


def is_address(text: str) -> bool:
    """Say whether a text claims to be an address (it may still be a wrong one) and not a name of the inventory."""
    return text in ("local", "adb") or ":" in text or "@" in text or "/" in text


def parse(text: str) -> Address:
    """Parse an address; raise InputError for anything that is not exactly one of its forms."""
    if text in ("local", "adb"):
        return Address("local" if text == "local" else "adb")
    for prefix, parser in PARSERS.items():
        if text.startswith(prefix):
            return parser(text)
    raise InputError(f"{shown(text)} is no device", allowed=FORMS, mend=_mend(text))


def shown(text: str) -> str:
    """Return a text for a message: control characters escaped, no password, and not over 80 characters."""
    cut = re.sub(r":.*@", ":...@", text, flags=re.DOTALL)
    return repr(cut if len(cut) <= LONGEST_SHOWN else f"{cut[:LONGEST_SHOWN]}...")


def _mend(text: str) -> str:
    return f"did you mean {SSH}...?" if "@" in text or "." in text else "edgenet devices list shows the known names"


def _ssh(text: str) -> Address:
    user, at, place = text.removeprefix(SSH).rpartition("@")
    if ":" in user:
        raise InputError(
            f"{shown(text)} holds a password",
            allowed=f"{SSH}[user@]host[:port]",
            mend="use a key: ssh-copy-id USER@HOST",
        )
    if at and not USER.fullmatch(user):
        raise _wrong(text, "user", user, "letters, digits and _ . + -, not beginning with -")
    host, port = _host_and_port(text, place)
    return Address("ssh", host=host, user=user, port=port)


def _host_and_port(text: str, place: str) -> tuple[str, int]:
    if place.startswith("["):
        host, bracket, rest = place[1:].partition("]")
        if not bracket or not _is_ipv6(host) or (rest and not rest.startswith(":")):
            raise _wrong(text, "host", place, "an IPv6 address in brackets: ssh://[fd00::2]:22")
        return host, _port(text, rest[1:]) if rest else 0
    host, colon, rest = place.partition(":")
    if ":" in rest:
        raise _wrong(text, "host", place, "an IPv6 address stands in brackets: ssh://[fd00::2]:22")
    if not HOST.fullmatch(host):
        raise _wrong(text, "host", host, "a host name, its alias in ~/.ssh/config, or an IP address")
    return host, _port(text, rest) if colon else 0


def _is_ipv6(host: str) -> bool:
    address, percent, scope = host.partition("%")
    try:
        IPv6Address(address)
    except AddressValueError:
        return False
    return SCOPE.fullmatch(scope) is not None if percent else True


def _port(text: str, digits: str) -> int:
    # isdecimal alone would let digits of other scripts through.
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 5 and 1 <= int(digits) <= 65535):
        raise _wrong(text, "port", digits, "1 to 65535")
    return int(digits)


def _adb(text: str) -> Address:
    serial = text.removeprefix("adb:")
    if not SERIAL.fullmatch(serial):
        raise _wrong(text, "serial", serial, "a serial that `adb devices` shows")
    return Address("adb", serial=serial)


def _fake(text: str) -> Address:
    name = text.removeprefix("fake:")
    if not NAME.fullmatch(name):
        raise _wrong(text, "name", name, "letters, digits, _ and -")
    return Address("fake", name=name)


def _wrong(text: str, part: str, value: str, allowed: str) -> InputError:
    return InputError(f"{shown(text)}: {shown(value)} cannot be a {part}", allowed=allowed, mend=f"write {FORMS}")


PARSERS: dict[str, Callable[[str], Address]] = {SSH: _ssh, "adb:": _adb, "fake:": _fake}
