"""A web server with TLS on the loopback, and a certificate that this process trusts while it runs."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Page:
    """What the server answers to a path; `length` is the one that it claims, -1 the true one."""

    content: bytes = b""
    status: int = 200
    location: str = ""
    length: int = -1


@dataclass
class Site:
    """A running server: its address, and the paths that it was asked for."""

    url: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def https_server(folder: Path, pages: Mapping[str, Page], monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Serve pages by their paths; a location that begins with / is completed with the server's own address."""
    certificate = _certificate(folder)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    site = Site("")

    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):  # a client that trusts nobody, or has seen enough
                super().handle()

        def finish(self) -> None:
            with suppress(OSError):
                super().finish()

        def do_GET(self) -> None:
            site.asked.append(self.path)
            page = pages.get(self.path, Page(status=404))
            self.send_response(page.status)
            if page.location:
                self.send_header("Location", site.url * page.location.startswith("/") + page.location)
            self.send_header("Content-Length", str(len(page.content) if page.length < 0 else page.length))
            self.end_headers()
            self.wfile.write(page.content)

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    site.url = f"https://{LOOPBACK}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _certificate(folder: Path) -> Path:
    """Write a key and a certificate for the loopback, signed by itself, into one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, LOOPBACK)])
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
