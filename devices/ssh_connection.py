"""A connection to a host, through others if ~/.ssh/config says so, or an error that tells how to get one.

Host keys are always checked. A password is never asked for, and none can be given.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import asyncssh

from devices.address import parse
from devices.base import DeviceLost
from devices.ssh_process import plain
from devices.ssh_settings import Settings, Target, read_settings
from edgenet.errors import EdgenetError, InputError, MissingError

MOST_JUMPS = 8
DEFAULT_PORT = 22


class HostKeyCheck(asyncssh.SSHClient):
    """Takes note of the host key that is offered and not known; nothing is ever accepted here."""

    offered: asyncssh.SSHKey | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Refuse a key that known_hosts does not have."""
        del host, addr, port
        self.offered = key
        return False

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Refuse a certificate whose authority known_hosts does not have."""
        return self.validate_host_public_key(host, addr, port, key)


async def connect(
    target: Target, through: asyncssh.SSHClientConnection | None = None, jumps: int = 0
) -> asyncssh.SSHClientConnection:
    """Return an open connection; it owns the one that it goes `through`.

    Raise DeviceLost where the host does not answer, MissingError where it is not known or does not let us in, and
    InputError for a configuration that cannot be used.
    """
    # asyncssh tells commands and the values of SendEnv to whoever logs, asyncio each write to a cut connection.
    logging.getLogger("asyncssh").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    try:
        settings = await read_settings(target)
        through = through or await _jump(settings, jumps)
        connection = await _connect(settings, through)
    except BaseException:
        if through:
            through.close()
        raise
    if through:
        connection.set_tunnel(through)
    return connection


async def _connect(settings: Settings, through: asyncssh.SSHClientConnection | None) -> asyncssh.SSHClientConnection:
    check = HostKeyCheck()
    agent = await _open_agent(settings)
    try:
        from_agent = await _agent_keys(agent, settings)
        names = [key.get_comment() or "a key without a name" for key in from_agent]
        try:
            return await asyncssh.connect(
                **settings.arguments,
                known_hosts=settings.known_hosts,
                client_keys=[*settings.keys.pairs, *from_agent] or None,
                client_factory=lambda: check,
                tunnel=through,
            )
        except (asyncssh.Error, OSError, ValueError, asyncio.TimeoutError) as error:
            raise _explained(error, settings, check, names) from error
    finally:
        if agent:
            agent.close()


async def _jump(settings: Settings, jumps: int) -> asyncssh.SSHClientConnection | None:
    """Return a connection to the last of the hosts on the way, None where the way is direct."""
    if jumps + len(settings.jumps) > MOST_JUMPS:
        raise InputError(
            f"{settings.target.host} is reached through over {MOST_JUMPS} hosts: {', '.join(settings.jumps)} ...",
            mend="see whether a ProxyJump in ~/.ssh/config holds for the jump host itself; `ProxyJump none` ends it",
        )
    last: asyncssh.SSHClientConnection | None = None
    for hop in settings.jumps:
        address = parse(hop if hop.startswith("ssh://") else f"ssh://{hop}")
        last = await connect(Target(address.host, address.user, address.port), last, jumps + len(settings.jumps))
    return last


async def _open_agent(settings: Settings) -> asyncssh.SSHAgentClient | None:
    if not settings.agent:
        return None
    with suppress(OSError):  # SSH_AUTH_SOCK outlives its agent; ssh says nothing of it either
        return await asyncssh.connect_agent(settings.agent)
    return None


async def _agent_keys(agent: asyncssh.SSHAgentClient | None, settings: Settings) -> Sequence[asyncssh.SSHKeyPair]:
    public = list(settings.keys.public) if settings.only_these_keys else []
    if agent is None or (settings.only_these_keys and not public):
        return []
    try:
        return await agent.get_keys(public)
    except ValueError as error:
        raise MissingError(
            f"the agent at {settings.agent} does not answer: {plain(str(error))}", mend="see what `ssh-add -l` says"
        ) from error


def _explained(error: Exception, settings: Settings, check: HostKeyCheck, agent_keys: Sequence[str]) -> EdgenetError:
    """Return what a failure means and how to mend it."""
    place = f"{settings.host} port {settings.port}"
    words = settings.target.words
    reason = plain(str(error))
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return _host_key_refused(place, settings, check, reason)
    if isinstance(error, asyncssh.PermissionDenied):
        return _not_let_in(place, settings, agent_keys)
    if isinstance(error, socket.gaierror):
        return MissingError(f"there is no host {settings.host}", mend="see its spelling, and HostName in ~/.ssh/config")
    if isinstance(error, asyncio.TimeoutError):
        mend = f"see whether it is switched on and in this network: `ssh {words}`"
        return DeviceLost(f"{place} did not answer within {settings.connect_s:g} s", mend=mend)
    if isinstance(error, ConnectionRefusedError):
        mend = "see whether it has come up, whether sshd runs there, and the port"
        return DeviceLost(f"nothing listens at {place}", mend=mend)
    if isinstance(error, asyncssh.KeyExchangeFailed):
        mend = f"`ssh {words}` tells whether its host key has changed, or `ssh -v` on which ciphers they differ"
        return MissingError(f"cannot agree with {place} on how to talk: {reason}", mend=mend)
    if isinstance(error, ValueError):
        return InputError(f"cannot use the SSH configuration for {place}: {reason}", mend=f"see `ssh -v {words}`")
    mend = f"see what `ssh {words}` says"
    return DeviceLost(f"cannot reach {place}: {reason or type(error).__name__}", mend=mend)


def _host_key_refused(place: str, settings: Settings, check: HostKeyCheck, reason: str) -> MissingError:
    words = settings.target.words
    if check.offered is None:
        return MissingError(f"the host key of {place} is refused: {reason}", mend=f"see what `ssh {words}` says")
    offered = f"{check.offered.get_algorithm()} {check.offered.get_fingerprint()}"
    port = settings.port if settings.port != DEFAULT_PORT else None
    for file in settings.known_hosts_files:
        if known := asyncssh.read_known_hosts(str(file)).match(settings.alias or settings.host, "", port)[0]:
            return _host_key_changed(place, settings, offered, known, file)
    files = " or ".join(str(path) for path in settings.known_hosts_files) or "any file of known hosts"
    return MissingError(
        f"the host key of {place} is not in {files}; it offers {offered}",
        mend=f"to accept it, run `ssh {words}` once and compare the fingerprint with the device's own "
        "(on it: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub)",
    )


def _host_key_changed(
    place: str, settings: Settings, offered: str, known: Sequence[asyncssh.SSHKey], file: Path
) -> MissingError:
    expected = ", ".join(f"{key.get_algorithm()} {key.get_fingerprint()}" for key in known)
    name = settings.host if settings.port == DEFAULT_PORT else f"[{settings.host}]:{settings.port}"
    forget = f"ssh-keygen -R {shlex.quote(settings.alias or name)} -f {shlex.quote(str(file))}"
    return MissingError(
        f"THE HOST KEY OF {place} HAS CHANGED: known is {expected}, offered is {offered}; "
        "this is another device, or somebody in between who would see and change all that is sent",
        mend=f"only if you know why (its system was installed anew): `{forget}`, "
        f"then run `ssh {settings.target.words}` once and compare the fingerprint",
    )


def _not_let_in(place: str, settings: Settings, agent_keys: Sequence[str]) -> MissingError:
    keys = settings.keys
    tried = [*keys.names, *(f"{plain(name)} (agent)" for name in agent_keys)]
    what = f"{settings.user} is not let in at {place}; keys tried: {', '.join(tried) or 'none, there are none'}"
    if keys.unread:
        what += f"; not read: {', '.join(keys.unread)}"
    if keys.locked:
        what += f"; locked by a passphrase: {', '.join(keys.locked)}"
        return MissingError(what, mend=f"`ssh-add {shlex.quote(keys.locked[0])}` gives it to your agent")
    mend = f"`ssh-copy-id {settings.target.words}` brings your key there; see the user too"
    if not tried:
        mend = f"`ssh-keygen -t ed25519` makes a key, `ssh-copy-id {settings.target.words}` brings it there"
    return MissingError(what, mend=mend)
