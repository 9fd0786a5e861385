"""The inventory: what it may hold, which file counts, and appending to one without touching the rest."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from devices.address import Address
from devices.inventory import add, inventory_files, read_inventory, resolve
from edgenet.errors import InputError

PI = '[devices.pi4]\naddress = "ssh://pi@192.168.1.20"\n'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return folder


def _write(near: str = "", far: str = "") -> None:
    for path, text in zip(inventory_files(), (near, far), strict=True):
        if text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def test_the_places(tmp_path: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert inventory_files() == (here / "devices.toml", tmp_path / "config/edgenet/devices.toml")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert inventory_files()[1] == tmp_path / "me/.config/edgenet/devices.toml"


def test_an_entry_with_all_it_can_hold(here: Path) -> None:
    _write(
        near="""
        [devices.pi4]
        address = "ssh://pi@host:2222"
        profile = "raspberry-pi-4"
        python = "/usr/bin/python3.11"
        identity_file = "keys/id"
        known_hosts = "/etc/known"
        [devices.phone]
        address = "adb:R58"
        benchmark_binary = "~/benchmark_model"
        """
    )
    address, entry = resolve("pi4")
    assert address == Address("ssh", host="host", user="pi", port=2222)
    assert entry
    assert (entry.profile, entry.python, entry.known_hosts) == ("raspberry-pi-4", "/usr/bin/python3.11", "/etc/known")
    assert entry.identity_file == str(here / "keys/id")
    phone = resolve("phone")[1]
    assert phone
    assert phone.benchmark_binary == str(Path.home() / "benchmark_model")
    assert phone.python == ""


def test_an_address_needs_no_inventory() -> None:
    _write(near="this is no TOML")
    assert resolve("local") == (Address("local"), None)
    assert resolve("adb:x") == (Address("adb", serial="x"), None)


def test_the_nearer_file_counts() -> None:
    _write(near=PI, far='[devices.pi4]\naddress = "adb"\n[devices.far]\naddress = "local"\n')
    assert resolve("pi4")[0].kind == "ssh"
    assert resolve("far")[0].kind == "local"
    assert [entry.name for entry in read_inventory()] == ["pi4", "pi4", "far"]


@dataclass(frozen=True)
class Wrong:
    id: str
    text: str
    says: str


WRONG = [
    Wrong("no TOML", "[devices.pi4\n", "is no TOML"),
    Wrong("top key", 'device = "x"\n', "has an unknown key 'device'; allowed: devices; did you mean devices?"),
    Wrong("no table", "devices = 3\n", "devices is no table; allowed: [devices.NAME]"),
    Wrong("no table of a device", "[devices]\npi4 = 'ssh://h'\n", "devices.pi4 is no table; allowed: [devices.pi4]"),
    Wrong("no address", "[devices.pi4]\n", "devices.pi4.address: field required"),
    Wrong("key", PI + 'profil = "x"\n', "devices.pi4 has an unknown key 'profil'; allowed: address"),
    Wrong("key's mend", PI + 'profil = "x"\n', "did you mean profile?"),
    Wrong("type", "[devices.pi4]\naddress = 3\n", "devices.pi4.address: input should be a valid string"),
    Wrong("address", "[devices.pi4]\naddress = 'ssh://-x'\n", "devices.pi4.address: 'ssh://-x': '-x' cannot be a host"),
    Wrong("name of another", "[devices.pi4]\naddress = 'pi5'\n", "devices.pi4.address: 'pi5' is no device"),
    Wrong("reserved", "[devices.local]\naddress = 'adb'\n", "a device cannot be called 'local'"),
    Wrong("name", "[devices.'a;b']\naddress = 'adb'\n", "a device cannot be called 'a;b'; allowed: letters, digits"),
    Wrong("name with a control", '[devices."a\\u001b"]\naddress = "adb"\n', r"cannot be called 'a\x1b'"),
    Wrong("relative python", PI + "python = 'python3'\n", "allowed: an absolute path on the device"),
    Wrong("control", PI + 'python = "/usr/bin/py\\nthon"\n', "python holds a control character"),
    Wrong("key of adb", PI + "benchmark_binary = 'b'\n", "benchmark_binary says nothing of ssh://pi@192.168.1.20"),
    Wrong("key of ssh", "[devices.a]\naddress = 'adb'\nknown_hosts = 'k'\n", "allowed: known_hosts with ssh"),
    Wrong(
        "password", PI + "password = 'geheim'\n", "holds a password: no secrets in devices.toml; delete it; ssh-copy-id"
    ),
    Wrong("private key", PI + "private_key = 'geheim'\n", "holds a private_key"),
    Wrong("password in the address", "[devices.a]\naddress = 'ssh://u:geheim@h'\n", "holds a password"),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.id)
def test_what_an_inventory_must_not_hold(case: Wrong) -> None:
    _write(near=case.text)
    with pytest.raises(InputError) as caught:
        resolve("pi4")
    assert case.says in str(caught.value)
    assert str(inventory_files()[0]) in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_an_unknown_name_gets_the_known_ones() -> None:
    _write(near=PI)
    with pytest.raises(InputError, match=r"unknown device 'pi5'; allowed: .*, pi4; did you mean pi4\?"):
        resolve("pi5")
    with pytest.raises(InputError, match="edgenet devices add jetson ssh://USER@HOST"):
        resolve("jetson")
    with pytest.raises(InputError, match="edgenet devices add NAME ssh://USER@HOST"):
        resolve("$(reboot)")


def test_adding_begins_the_users_own_file() -> None:
    entry = add("pi4", "ssh://pi@h", "raspberry-pi-4")
    users = inventory_files()[1]
    assert (entry.source, entry.profile) == (users, "raspberry-pi-4")
    assert users.read_text() == '[devices.pi4]\naddress = "ssh://pi@h"\nprofile = "raspberry-pi-4"\n'
    add("phone", "adb", "")
    assert users.read_text().endswith('\n\n[devices.phone]\naddress = "adb"\n')
    assert [row.name for row in read_inventory()] == ["pi4", "phone"]


def test_adding_keeps_what_is_there() -> None:
    before = f"# mine\r\n{PI}# the end, without a line feed: ü"
    _write(near=before)
    near = inventory_files()[0]
    near.write_bytes(before.encode())
    near.chmod(0o600)
    add("b", "local", "")
    assert near.read_bytes() == f'{before}\n\n[devices.b]\naddress = "local"\n'.encode()
    assert near.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in near.parent.iterdir()] == ["devices.toml"]


def test_adding_through_a_link_keeps_the_link(tmp_path: Path, here: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text(PI)
    (here / "devices.toml").symlink_to(real)
    add("b", "local", "")
    assert (here / "devices.toml").is_symlink()
    assert "[devices.b]" in real.read_text()


@pytest.mark.parametrize(
    ("name", "address", "says"),
    [
        ("pi4", "local", "pi4 is ssh://pi@192.168.1.20 in .* already"),
        ("a]\nx", "local", "a device cannot be called"),
        ("local", "adb", "a device cannot be called 'local'"),
        ("b", 'local"\npython = "/x', "is no device"),
        ("b", "ssh://u:geheim@h", "holds a password"),
    ],
)
def test_what_cannot_be_added_changes_nothing(name: str, address: str, says: str) -> None:
    _write(far=PI)
    with pytest.raises(InputError, match=says):
        add(name, address, "")
    assert inventory_files()[1].read_text() == PI
    assert not inventory_files()[0].exists()


def test_an_inline_table_cannot_be_appended_to() -> None:
    text = 'devices = { pi4 = { address = "local" } }\n'
    _write(near=text)
    with pytest.raises(InputError, match=r"cannot append to .*; write it there by hand"):
        add("b", "local", "")
    assert inventory_files()[0].read_text() == text
