"""What a connection is made with: ~/.ssh/config, the hosts that are known, the keys that there are.

asyncssh reads the configuration. Three of its habits are not ssh's, and are not followed here: `UserKnownHostsFile
none` would switch the check of host keys off; a file of known hosts or an identity that is not there would be an error;
so would a default key of a kind that it cannot read. /etc/ssh/ssh_config is not read.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import asyncssh

from edgenet.errors import InputError

DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk")
DEFAULT_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
GLOBAL_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
CONNECT_S = 15.0
ALWAYS: Mapping[str, Any] = {
    # Keys alone: nothing here asks for a password, and no authority of the web vouches for a host.
    "preferred_auth": ["publickey"],
    "x509_trusted_certs": None,
    "gss_host": None,
    "agent_path": None,  # its keys are asked for before, so that a failure can name them
    "agent_forwarding": False,
    # A lost network is found after 20 s: one interval more than are counted.
    "keepalive_interval": 5.0,
    "keepalive_count_max": 3,
    "utf8_decode_errors": "replace",
}


class Configuration(Protocol):
    """What is used of asyncssh's reading of ~/.ssh/config."""

    def get(self, option: str, default: object = None) -> object:
        """Return an option's value."""


@dataclass(frozen=True)
class Target:
    """Which host, as the user named it; "" and 0 are what ~/.ssh/config says.

    `identity_file` and `known_hosts` are files that stand in for those of the configuration.
    """

    host: str
    user: str = ""
    port: int = 0
    identity_file: str = ""
    known_hosts: str = ""

    @property
    def words(self) -> str:
        """What stands behind `ssh` to reach the same place."""
        known = ["-o", f"UserKnownHostsFile={self.known_hosts}"] if self.known_hosts else []
        identity = ["-i", self.identity_file] if self.identity_file else []
        port = ["-p", str(self.port)] if self.port else []
        place = f"{self.user}@{self.host}" if self.user else self.host
        return shlex.join([*known, *identity, *port, place])


@dataclass(frozen=True)
class Keys:
    """The keys that there are for a host, and by name those that are of no use as they are."""

    pairs: Sequence[asyncssh.SSHKeyPair] = field(repr=False)
    names: tuple[str, ...]  # of the files of `pairs`
    locked: tuple[str, ...]  # files that a passphrase locks
    unread: tuple[str, ...]  # files that are not there or hold no key, with the reason
    public: tuple[bytes, ...] = field(repr=False)  # of all files: which keys of an agent belong to them


@dataclass(frozen=True)
class Settings:
    """What asyncssh is given, apart from keys, and what its failures are explained with."""

    target: Target
    host: str
    user: str
    port: int
    alias: str  # HostKeyAlias
    jumps: tuple[str, ...]
    known_hosts: asyncssh.SSHKnownHosts
    known_hosts_files: tuple[Path, ...]
    keys: Keys
    agent: str  # the agent's socket, "" for none
    only_these_keys: bool  # of an agent's keys, only those that `keys` names
    connect_s: float
    arguments: Mapping[str, Any] = field(repr=False)


async def read_settings(target: Target) -> Settings:
    """Return what to connect with; raise InputError for a configuration or a file that cannot be read."""
    return await asyncio.get_running_loop().run_in_executor(None, _read, target)


def _read(target: Target) -> Settings:
    configuration = Path("~/.ssh/config").expanduser()
    common: dict[str, Any] = {
        "host": target.host,
        "config": [configuration] if configuration.is_file() else [],
        **({"port": target.port} if target.port else {}),
        **({"username": target.user} if target.user else {}),
    }
    try:
        said = asyncssh.SSHClientConnectionOptions(**common, client_keys=None, known_hosts=b"")
        known_files = _known_hosts_files(target, said.config)
        known_hosts = asyncssh.read_known_hosts([str(path) for path in known_files])
        keys = _load_keys(_identity_files(target, said.config))
    except (ValueError, OSError) as error:  # asyncssh's ConfigParseError is a ValueError
        raise InputError(
            f"cannot use the SSH configuration for {target.host}: {error}", mend=f"see what `ssh {target.words}` says"
        ) from error
    connect_s = said.connect_timeout or CONNECT_S
    return Settings(
        target=target,
        host=said.host,
        user=said.username,
        port=said.port,
        alias=said.host_key_alias or "",
        jumps=tuple(str(said.tunnel).split(",")) if said.tunnel else (),
        known_hosts=known_hosts,
        known_hosts_files=known_files,
        keys=keys,
        agent=_agent(said.config),
        only_these_keys=bool(target.identity_file or said.config.get("IdentitiesOnly")),
        connect_s=connect_s,
        arguments={**common, **ALWAYS, "connect_timeout": connect_s, "login_timeout": connect_s},
    )


def _known_hosts_files(target: Target, config: Configuration) -> tuple[Path, ...]:
    if target.known_hosts:
        return (_named(target.known_hosts, "known_hosts"),)
    users = cast(Sequence[str], config.get("UserKnownHostsFile", DEFAULT_KNOWN_HOSTS))
    everybodys = cast(Sequence[str], config.get("GlobalKnownHostsFile", GLOBAL_KNOWN_HOSTS))
    paths = (Path(name).expanduser() for name in [*users, *everybodys])
    return tuple(path for path in paths if path.is_file())


def _identity_files(target: Target, config: Configuration) -> Sequence[Path]:
    if target.identity_file:
        return [_named(target.identity_file, "identity_file")]
    named = config.get("IdentityFile")
    if named is not None:
        return [Path(name).expanduser() for name in cast(Sequence[str], named)]
    return [path for name in DEFAULT_KEYS if (path := Path("~/.ssh", name).expanduser()).is_file()]


def _named(text: str, key: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise InputError(f"{key}: there is no file {text}", mend="see the device's entry in devices.toml")
    return path


def _load_keys(paths: Sequence[Path]) -> Keys:
    pairs: list[asyncssh.SSHKeyPair] = []
    names, locked, unread, public = [], [], [], []
    for path in paths:
        public += [key.public_data for key in _public_keys(path)]
        try:
            pairs += asyncssh.load_keypairs([str(path)])
            names.append(str(path))
        except (OSError, ValueError) as error:
            if "assphrase" in str(error):
                locked.append(str(path))
            else:
                reason = error.strerror if isinstance(error, OSError) else str(error)
                unread.append(f"{path} ({reason})")
    return Keys(tuple(pairs), tuple(names), tuple(locked), tuple(unread), tuple(public))


def _public_keys(path: Path) -> Sequence[asyncssh.SSHKey]:
    """Return the public half of an identity, which may be locked or in an agent alone."""
    for place in (Path(f"{path}.pub"), path):
        with suppress(OSError, ValueError):
            return [asyncssh.read_public_key(str(place))]
    return []


def _agent(config: Configuration) -> str:
    path = config.get("IdentityAgent", "SSH_AUTH_SOCK")  # None for `none`
    if path == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK", "")
    return str(Path(str(path)).expanduser()) if path else ""
