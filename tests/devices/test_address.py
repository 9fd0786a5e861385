"""Addresses: each form and its text again, and hostile text, which never gets through."""

import re
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.address import Address, is_address, parse
from edgenet.errors import InputError


@dataclass(frozen=True)
class Case:
    text: str
    address: Address


CASES = [
    Case("local", Address("local")),
    Case("adb", Address("adb")),
    Case("adb:R58M123ABC", Address("adb", serial="R58M123ABC")),
    Case("adb:emulator-5554", Address("adb", serial="emulator-5554")),
    Case("adb:192.168.1.7:5555", Address("adb", serial="192.168.1.7:5555")),
    Case("adb:[::1]:5555", Address("adb", serial="[::1]:5555")),
    Case("adb:adb-R58._adb-tls-connect._tcp", Address("adb", serial="adb-R58._adb-tls-connect._tcp")),
    Case("fake:pi-4", Address("fake", name="pi-4")),
    Case("ssh://raspberrypi.local", Address("ssh", host="raspberrypi.local")),
    Case("ssh://pi@raspberrypi", Address("ssh", host="raspberrypi", user="pi")),
    Case("ssh://pi@192.168.1.20:2222", Address("ssh", host="192.168.1.20", user="pi", port=2222)),
    Case("ssh://first.last+x@h:1", Address("ssh", host="h", user="first.last+x", port=1)),
    Case("ssh://[fd00::2]", Address("ssh", host="fd00::2")),
    Case("ssh://pi@[fe80::1%eth0]:65535", Address("ssh", host="fe80::1%eth0", user="pi", port=65535)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.text)
def test_each_form_and_its_text_again(case: Case) -> None:
    assert parse(case.text) == case.address
    assert str(case.address) == case.text
    assert is_address(case.text)


@dataclass(frozen=True)
class Wrong:
    text: str
    says: str


WRONG = [
    Wrong("", "'' is no device"),
    Wrong("pi4", "edgenet devices list shows the known names"),
    Wrong("pi@raspberrypi.local", "did you mean ssh://...?"),
    Wrong("telnet://pi", "is no device; allowed: local, ssh://"),
    Wrong("Local", "is no device"),
    Wrong("local ", "is no device"),
    Wrong("ssh://", "'' cannot be a host"),
    Wrong("ssh://@h", "'' cannot be a user"),
    Wrong("ssh://-oProxyCommand=reboot", "'-oProxyCommand=reboot' cannot be a host"),
    Wrong("ssh://pi@-oProxyCommand=reboot", "cannot be a host"),
    Wrong("ssh://-l@host", "'-l' cannot be a user"),
    Wrong("ssh://host;reboot", "cannot be a host"),
    Wrong("ssh://$(reboot)@host", "cannot be a user"),
    Wrong("ssh://`id`@host", "cannot be a user"),
    Wrong("ssh://a b@host", "cannot be a user"),
    Wrong("ssh://host\nreboot", r"'host\nreboot' cannot be a host"),
    Wrong("ssh://host\x1b[2J", r"\x1b[2J"),
    Wrong("ssh://host\0", r"'host\x00'"),
    Wrong("ssh://host/path", "cannot be a host"),
    Wrong("ssh://höst", "cannot be a host"),
    Wrong("ssh://host:", "'' cannot be a port"),
    Wrong("ssh://host:0", "'0' cannot be a port; allowed: 1 to 65535"),
    Wrong("ssh://host:65536", "'65536' cannot be a port"),
    Wrong("ssh://host:٢٢", "cannot be a port"),
    Wrong("ssh://host:22x", "'22x' cannot be a port"),
    Wrong("ssh://fd00::2", "an IPv6 address stands in brackets: ssh://[fd00::2]:22"),
    Wrong("ssh://[fd00::2", "cannot be a host; allowed: an IPv6 address in brackets"),
    Wrong("ssh://[fd00::2]x", "cannot be a host"),
    Wrong("ssh://[fe80::1%]", "cannot be a host"),
    Wrong("ssh://[fe80::1%a;b]", "cannot be a host"),
    Wrong("ssh://[1.2.3.4]", "cannot be a host"),
    Wrong("adb:", "'' cannot be a serial"),
    Wrong("adb:-s", "'-s' cannot be a serial"),
    Wrong("adb:x;reboot", "cannot be a serial"),
    Wrong("adb:x y", "cannot be a serial"),
    Wrong("fake:", "'' cannot be a name"),
    Wrong("fake:../x", "cannot be a name"),
    Wrong("ssh://" + "a" * 1000, "..."),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: ascii(case.text[:40]))
def test_what_is_no_address_is_refused(case: Wrong) -> None:
    with pytest.raises(InputError) as caught:
        parse(case.text)
    message = str(caught.value)
    assert case.says in message
    assert caught.value.allowed
    assert caught.value.mend
    assert message.isprintable()
    assert len(message) < 500


@pytest.mark.parametrize("text", ["ssh://pi:geheim@host", "ssh://pi:ge@heim@host", "pi:geheim@host"])
def test_a_password_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(text)
    assert "heim" not in str(caught.value)


@given(st.text(max_size=40), st.sampled_from(["", "ssh://", "adb:", "fake:", "ssh://u@"]))
def test_what_gets_through_is_plain(text: str, prefix: str) -> None:
    try:
        address = parse(prefix + text)
    except InputError:
        return
    assert parse(str(address)) == address
    for part in (address.host, address.user, address.serial, address.name):
        assert re.fullmatch(r"(?!-)[A-Za-z0-9_.:%+\[\]-]*", part)
