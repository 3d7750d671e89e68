"""A webhook and a mail server on this machine, which keep what they are sent."""

from __future__ import annotations

import email
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email import policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from aiosmtpd.controller import Controller

Received = list[tuple[str, str]]  # title and body


@contextmanager
def webhook(status: int = 200, headers: Mapping[str, str] | None = None) -> Iterator[tuple[str, Received]]:
    """The address of the server, host:port, and the messages it was sent; it answers each with `status`."""
    received: Received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.append((content["title"], content["message"]))
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def mail_server(part: Literal["plain", "html"] = "plain") -> Iterator[tuple[str, Received]]:
    """The same for mail; of the body, the part that is asked for."""
    received: Received = []

    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            message = email.message_from_bytes(envelope.content, policy=policy.default)
            body = message.get_body((part,))
            received.append((str(message["Subject"]), body.get_content() if body else ""))
            return "250 OK"

    with socket.create_server(("127.0.0.1", 0)) as free:  # the controller takes no port of the system's choice
        port = free.getsockname()[1]
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield f"127.0.0.1:{port}", received
    finally:
        controller.stop()
