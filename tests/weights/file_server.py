"""A real HTTP server on 127.0.0.1 that answers as the Hugging Face hub or as a plain file server does."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FileServer:
    """What is served (path -> bytes), what was asked for, and how many bytes of each answer are sent."""

    files: Mapping[str, bytes]
    url: str = ""
    requests: list[str] = field(default_factory=list)
    cut_short: bool = False


@contextmanager
def serving(files: Mapping[str, bytes]) -> Iterator[FileServer]:
    """Serve `files` until the block ends; a hub path is /OWNER/NAME/resolve/REVISION/FILE."""
    state = FileServer(dict(files))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(state: FileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, with_body: bool) -> None:
            state.requests.append(f"{self.command} {self.path}")
            data = state.files.get(self.path.replace(f"/{COMMIT}/", "/main/"))
            if data is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if with_body:
                self.wfile.write(data[: len(data) // 2] if state.cut_short else data)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    return Handler
