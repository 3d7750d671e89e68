"""Notes every connection that a Python process of the tests opens beyond this machine; found by way of PYTHONPATH."""

import ipaddress
import os
import sys
from pathlib import Path


def _is_here(host: object) -> bool:
    try:
        return ipaddress.ip_address(str(host)).is_loopback
    except ValueError:
        return host in (None, "", "localhost", b"localhost")


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        address = arguments
    else:
        return
    if isinstance(address, tuple) and not _is_here(address[0]):  # a path is a socket of this machine
        with Path(os.environ["NPS_CONNECTIONS"]).open("a", encoding="utf-8") as log:
            log.write(f"{event} {address} by {' '.join(sys.argv[:3])}\n")


if "NPS_CONNECTIONS" in os.environ:
    sys.addaudithook(_note)
