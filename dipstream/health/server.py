"""Answers monitors on this computer alone: /metrics, /livez, /readyz and /accounting."""

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from dipstream.errors import ConfigError, DipstreamError
from dipstream.health.checks import Health, accounting, live, ready
from dipstream.health.metrics import CONTENT_TYPE, prometheus_text
from dipstream.service import LiveRun

__all__ = ["HealthServer"]

_HOST = "127.0.0.1"
_NAMES = (_HOST, "localhost")
_AT_ONCE = 16
_JSON = "application/json; charset=utf-8"

_Answer = tuple[int, str, str]


class HealthServer:
    """Serves the health of one run on the loopback interface until it is closed.

    The port is taken when it is made, so that one that is in use is told of before a run starts;
    until `attach` is called, nothing is ready.

    Parameters
    ----------
    port
        0 takes any that is free; see `port`.

    Raises
    ------
    ConfigError
        If the port is in use.
    """

    def __init__(self, port: int) -> None:
        try:
            self._server = _Server((_HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"port {port} cannot be used for --metrics: {error}; choose another one, from "
                "1024 to 65535"
            ) from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="health", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The port that answers."""
        return int(self._server.server_address[1])

    @property
    def address(self) -> str:
        """Where it answers, as one types it."""
        return f"http://{_HOST}:{self.port}"

    def attach(self, run: LiveRun) -> None:
        """Answer for this run from now on."""
        self._server.run = run

    def close(self) -> None:
        """Answer no more; may be called twice."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    run: LiveRun | None = None

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._free = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; who comes while all are taken is turned away."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: the other side has hung up."""


class _Handler(BaseHTTPRequestHandler):
    server_version = "dipstream"
    sys_version = ""
    timeout = 5.0
    server: _Server

    def do_GET(self) -> None:
        """Answer."""
        if not self._is_for_here():
            # A page from elsewhere may have had its name point to this computer (DNS rebinding).
            names = " or ".join(f"{name}:{self.server.server_address[1]}" for name in _NAMES)
            self._send(HTTPStatus.FORBIDDEN, "text/plain", f"ask for {names}\n")
            return
        path = urlsplit(self.path).path
        if path not in _PATHS:
            known = ", ".join(_PATHS)
            self._send(HTTPStatus.NOT_FOUND, "text/plain", f"there are {known}\n")
            return
        self._send(*self._answer(path))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no GET, in one line."""
        del explain
        if code == HTTPStatus.NOT_IMPLEMENTED:
            code, message = HTTPStatus.METHOD_NOT_ALLOWED, "only GET is allowed"
        self._send(code, "text/plain", f"{message or HTTPStatus(code).phrase}\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing: monitors ask all the time."""

    def _is_for_here(self) -> bool:
        port = self.server.server_address[1]
        host = (self.headers.get("Host") or "").lower()
        return host in {*_NAMES, *(f"{name}:{port}" for name in _NAMES)}

    def _answer(self, path: str) -> _Answer:
        run, about = self.server.run, _PATHS[path]
        if run is None:
            return _probe(Health(ok=path == "/livez", reasons=("the run is starting",)))
        try:
            return about(run)
        except (DipstreamError, OSError) as error:
            return _probe(Health(ok=False, reasons=(str(error),)))

    def _send(self, code: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _probe(health: Health) -> _Answer:
    code = HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE
    return code, _JSON, json.dumps(health.to_json(), ensure_ascii=False) + "\n"


_PATHS: dict[str, Callable[[LiveRun], _Answer]] = {
    "/metrics": lambda run: (HTTPStatus.OK, CONTENT_TYPE, prometheus_text(run)),
    "/livez": lambda run: _probe(live(run)),
    "/readyz": lambda run: _probe(ready(run)),
    "/accounting": lambda run: (HTTPStatus.OK, _JSON, json.dumps(accounting(run)) + "\n"),
}
