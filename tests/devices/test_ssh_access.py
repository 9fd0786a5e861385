"""Getting in to a device over SSH or being kept out: host keys, own keys, agents, configurations; no secret is told."""

import logging
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devices.address import parse
from devices.base import DeviceLost
from devices.ssh import SshDevice
from edgenet.errors import EdgenetError, InputError, MissingError
from tests.devices.processes import free_port
from tests.devices.ssh_user import make_key, until, users_home
from tests.devices.sshd import Sshd, missing, sshd

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
PASSPHRASE = "correct horse battery staple"
NOT_TO_TELL = "sesame-open-1234"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the user of these tests a home of their own; return its ~/.ssh/config, which is empty."""
    return users_home(tmp_path / "user", "", monkeypatch)


@dataclass(frozen=True)
class Refusal:
    """How a connection fails: lines of ~/.ssh/config, what is prepared beside it, and what the message says."""

    id: str
    lines: str
    says: tuple[str, ...]
    mend: tuple[str, ...]
    error: type[EdgenetError] = MissingError
    prepare: Callable[[Path, Sshd], None] = field(default=lambda folder, server: None)
    user: str = ""


GOOD_KEY = "IdentityFile {client_key}\n"
GOOD_HOST = "UserKnownHostsFile {known_hosts}\n"


def put(path: Path, text: str) -> None:
    path.write_text(text)


def know_another_key(folder: Path, server: Sshd) -> None:
    make_key(folder / "another")
    key = (folder / "another.pub").read_text()
    (folder / "known_hosts").write_text(f"other.example {key}[127.0.0.1]:{server.port} {key}")


REFUSALS = [
    Refusal(
        "unknown host key",
        GOOD_KEY,
        ("is not in any file of known hosts", "ssh-ed25519 {fingerprint}"),
        ("`ssh -p {port} {user}@127.0.0.1` once", "ssh-keygen -lf"),
    ),
    Refusal(
        "checks switched off are on",
        GOOD_KEY + "UserKnownHostsFile none\nStrictHostKeyChecking no\n",
        ("is not in any file of known hosts", "{fingerprint}"),
        ("`ssh -p {port}",),
    ),
    Refusal(
        "changed host key",
        GOOD_KEY,
        ("HAS CHANGED", "offered is ssh-ed25519 {fingerprint}", "somebody in between"),
        ("ssh-keygen -R '[127.0.0.1]:{port}' -f {home}/.ssh/known_hosts",),
        prepare=know_another_key,
    ),
    Refusal(
        "no key",
        GOOD_HOST,
        ("{user} is not let in", "keys tried: none"),
        ("ssh-keygen -t ed25519", "ssh-copy-id -p {port}"),
    ),
    Refusal(
        "wrong key",
        GOOD_HOST,
        ("keys tried: {home}/.ssh/id_ed25519",),
        ("`ssh-copy-id -p {port} {user}@127.0.0.1`",),
        prepare=lambda folder, server: make_key(folder / "id_ed25519"),
    ),
    Refusal(
        "wrong user",
        GOOD_HOST + GOOD_KEY,
        ("stranger is not let in", "keys tried: {client_key}"),
        ("see the user",),
        user="stranger",
    ),
    Refusal(
        "a key with a passphrase",
        GOOD_HOST,
        ("locked by a passphrase: {home}/.ssh/id_ed25519",),
        ("`ssh-add {home}/.ssh/id_ed25519`",),
        prepare=lambda folder, server: make_key(folder / "id_ed25519", PASSPHRASE),
    ),
    Refusal(
        "keys that are none",
        GOOD_HOST + "IdentityFile ~/.ssh/gone\nIdentityFile ~/.ssh/text\n",
        ("{home}/.ssh/gone (No such file or directory)", "{home}/.ssh/text ("),
        ("ssh-keygen",),
        prepare=lambda folder, server: put(folder / "text", f"no key: {NOT_TO_TELL}\n"),
    ),
    Refusal("nothing listens", GOOD_HOST + "Port {free_port}\n", ("nothing listens",), ("sshd runs",), DeviceLost),
    Refusal("no such host", "HostName host.invalid\n", ("no host host.invalid",), ("HostName",)),
    Refusal("a configuration that is none", "Port many\n", ("config line", "Port"), ("`ssh ",), InputError),
    Refusal(
        "known hosts that are none",
        GOOD_KEY,
        ("Invalid known hosts",),
        ("`ssh ",),
        InputError,
        prepare=lambda folder, server: put(folder / "known_hosts", "what\n"),
    ),
    Refusal(
        "a jump host through itself", "Host *\nProxyJump jump\n", ("over 8 hosts",), ("ProxyJump none",), InputError
    ),
    Refusal("no cipher in common", GOOD_HOST + "Ciphers aes256-cbc\n", ("cannot agree",), ("ssh -v",)),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.id)
def test_a_refusal_says_why_and_what_to_do(
    refusal: Refusal, server: Sshd, configuration: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    public = server.configuration.parent / "host_key.pub"
    fingerprint = subprocess.run(["ssh-keygen", "-lf", str(public)], capture_output=True, text=True, check=True).stdout
    names = {
        "home": configuration.parents[1],
        "port": server.port,
        "user": refusal.user or server.user,
        "client_key": server.client_key,
        "known_hosts": server.known_hosts,
        "free_port": free_port(),
        "fingerprint": fingerprint.split()[1],
    }
    configuration.write_text("GlobalKnownHostsFile /dev/null\n" + refusal.lines.format(**names))
    refusal.prepare(configuration.parent, server)
    before = {path.name: path.read_bytes() for path in configuration.parent.iterdir()}
    port = "" if "Port" in refusal.lines else f":{server.port}"
    device = SshDevice(parse(f"ssh://{names['user']}@127.0.0.1{port}"))
    with pytest.raises(refusal.error) as caught:
        device.describe()
    device.clean_up()
    assert type(caught.value) is refusal.error
    for part in refusal.says:
        assert part.format(**names) in caught.value.what
    for part in refusal.mend:
        assert part.format(**names) in caught.value.mend
    assert {path.name: path.read_bytes() for path in configuration.parent.iterdir()} == before, "nothing is accepted"
    assert secrets_in(str(caught.value) + caplog.text, server) == []


def secrets_in(text: str, server: Sshd) -> list[str]:
    key_lines = server.client_key.read_text().splitlines()[1:-1]
    return [secret for secret in (*key_lines, PASSPHRASE, NOT_TO_TELL, "PRIVATE KEY") if secret in text]


def test_the_command_that_is_advised_accepts_the_key(server: Sshd, configuration: Path) -> None:
    configuration.write_text(f"GlobalKnownHostsFile /dev/null\nIdentityFile {server.client_key}\n")
    known = configuration.parent / "known_hosts"
    known.touch()
    address = parse(f"ssh://{server.user}@127.0.0.1:{server.port}")
    device = SshDevice(address)
    with pytest.raises(MissingError) as caught:
        device.describe()
    advised = re.search(r"run `(ssh [^`]*)` once", caught.value.mend)
    assert advised
    # OpenSSH takes its own files from the list of users and not from HOME, and asks a terminal.
    options = ["-F", str(configuration), "-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=accept-new"]
    words = shlex.split(advised[1])
    subprocess.run([words[0], *options, *words[1:], "true"], check=True, capture_output=True, timeout=20)
    assert device.describe().kind == "ssh"
    device.clean_up()


def test_a_key_in_the_agent_alone(server: Sshd, configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    socket = configuration.parent / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL) as agent:
        try:
            until(socket.exists)
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            make_key(configuration.parent / "other key")
            for key in (configuration.parent / "other key", server.client_key):
                subprocess.run(["ssh-add", "-q", str(key)], check=True)
            lines = f"UserKnownHostsFile {server.known_hosts}\nGlobalKnownHostsFile /dev/null\n"
            address = parse(f"ssh://{server.user}@127.0.0.1:{server.port}")
            configuration.write_text(lines)
            device = SshDevice(address)
            assert device.describe().kind == "ssh"
            device.clean_up()
            configuration.write_text(f"{lines}IdentitiesOnly yes\nIdentityFile '{configuration.parent}/other key'\n")
            with pytest.raises(MissingError, match=r"other key, other key \(agent\)"):
                device.describe()
            device.clean_up()
        finally:
            agent.terminate()


def test_logs_tell_no_secret(
    server: Sshd, configuration: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("TOKEN", NOT_TO_TELL)
    configuration.write_text(server.ssh_config.read_text() + "SendEnv TOKEN\nSetEnv OTHER=" + NOT_TO_TELL + "\n")
    device = SshDevice(parse("ssh://device"))
    device.run(["echo", NOT_TO_TELL], 5)
    device.clean_up()
    assert secrets_in(f"at {NOT_TO_TELL} it would be found", server) == [NOT_TO_TELL]
    assert secrets_in(caplog.text, server) == []
