"""A real PostgreSQL, started on a free port."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

PASSWORD = "pa55-w0rd-of-the-test"
# As docs/scaling.md has it.
DATABASE = "create database nps template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C.UTF-8'"


@contextmanager
def started() -> Iterator[str]:
    """The connection string of a server of our own; skips the test where none is installed."""
    binaries = [path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]
    found = shutil.which("initdb")
    if not (binaries or found):
        pytest.skip("PostgreSQL is not installed")
    binary = binaries[-1] if binaries else Path(str(found)).parent
    # The server refuses to run as root.
    user = next((name for name in ("postgres", "nobody") if _exists(name)), None) if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="nps-postgres-") as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        secret = Path(folder, "password")
        secret.write_text(PASSWORD)
        if user:
            shutil.chown(folder, user)
            shutil.chown(secret, user)
        options = ["-c", "fsync=off", "-c", f"unix_socket_directories={folder}", "-c", "listen_addresses=127.0.0.1"]
        data = f"{folder}/data"
        login = ["-U", "bi", "-A", "scram-sha-256", f"--pwfile={secret}"]
        initdb = [str(binary / "initdb"), "-D", data, "-E", "UTF8", *login]
        subprocess.run(initdb, user=user, check=True, capture_output=True, cwd=folder)
        with subprocess.Popen(
            [binary / "postgres", "-D", data, "-p", str(port), *options],
            user=user,
            cwd=folder,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                target = f"postgresql://bi:{PASSWORD}@127.0.0.1:{port}/postgres"
                _wait_for(target)
                yield target
            finally:
                process.terminate()
                process.wait(30)


def _exists(user: str) -> bool:
    try:
        return bool(pwd.getpwnam(user))
    except KeyError:
        return False


def _wait_for(target: str) -> None:
    for _ in range(300):
        try:
            psycopg.connect(target).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.1)
    pytest.fail("PostgreSQL did not start")


def environment(target: str) -> dict[str, str]:
    """The variables of libpq for the database `nps` of a server."""
    place = conninfo_to_dict(target)
    return {f"PG{name.upper()}": str(place[name]) for name in ("host", "port", "user", "password")} | {
        "PGDATABASE": "nps"
    }
