"""HTTP for those who watch over a role: /metrics for Prometheus, /health/live and /health/ready for an orchestrator."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import TYPE_CHECKING, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from processor.errors import InvalidSettings

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

METRICS: Final = "/metrics"
LIVE: Final = "/health/live"
READY: Final = "/health/ready"


def application(registry: CollectorRegistry, *, live: Callable[[], bool], ready: Callable[[], bool]) -> WSGIApplication:
    """Return what answers: 200 for yes, 503 for no."""
    metrics = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                shown: Iterable[bytes] = metrics(environ, start_response)
                return shown
            case "/health/live":
                holds, words = live(), ("alive", "does not move")
            case "/health/ready":
                holds, words = ready(), ("ready", "not ready")
            case _:
                start_response("404 Not Found", [("Content-Type", "text/plain")])
                return [f"there are {METRICS}, {LIVE} and {READY}\n".encode()]
        start_response("200 OK" if holds else "503 Service Unavailable", [("Content-Type", "text/plain")])
        return [f"{words[0] if holds else words[1]}\n".encode()]

    return answer


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; port 0 is any that is free. Raises InvalidSettings."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as fault:
        raise InvalidSettings(
            setting="health_port",
            rule=f"must be one that can be listened on: {host}, port {port}: {fault.strerror or fault}",
            example="--health-host 127.0.0.1 --health-port 9464",
        ) from None


class _Quiet(WSGIRequestHandler):
    timeout = 10.0
    """Seconds after which a connection that says nothing is closed."""

    def log_message(self, format: str, *args: object) -> None:
        """Probes come every few seconds."""


class _Server(ThreadingMixIn, WSGIServer):
    """On a socket that listens already."""

    daemon_threads = True

    def __init__(self, listening: socket.socket) -> None:
        address = listening.getsockname()
        super().__init__(address, _Quiet, bind_and_activate=False)
        self.socket.close()
        self.socket, self.server_address = listening, address
        self.server_name, self.server_port = address[0], address[1]
        self.setup_environ()


class HealthServer:
    """Answers in threads of its own, while the context lasts; then the socket is closed."""

    def __init__(self, listening: socket.socket, answer: WSGIApplication) -> None:
        self._server = _Server(listening)
        self._server.set_app(answer)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="health", daemon=True)

    def __enter__(self) -> HealthServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
