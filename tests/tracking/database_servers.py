"""Real MariaDB and PostgreSQL servers out of Debian's packages, each for one test session."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.tracking.process import free_port

# Everything that a URL has to escape.
PASSWORD = "p%w/d@x:#"


@dataclass(frozen=True)
class DatabaseServer:
    scheme: str
    port: int
    user: str
    client: tuple[str, ...]

    def url(self, database: str) -> str:
        return f"{self.scheme}://{self.user}:{quote(PASSWORD, '')}@127.0.0.1:{self.port}/{database}"

    def run(self, statement: str, database: str = "") -> str:
        """Run a statement with the server's own client; what it prints."""
        done = subprocess.run(
            [*self.client, *([database] if database else [])],
            input=statement,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PGPASSWORD": PASSWORD},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def program(name: str, package: str, *folders: str) -> str:
    """Debian's program, or a skip that says what is missing (a failure in CI)."""
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ["PATH"], "/usr/sbin"]))
    if found is None:
        reason = f"there is no {name}: apt-get install {package}"
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)
    return found


@contextmanager
def started(command: Sequence[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def mariadb(folder: Path) -> Iterator[DatabaseServer]:
    server = program("mariadbd", "mariadb-server-core")
    install = program("mariadb-install-db", "mariadb-server-core")
    client = program("mariadb", "mariadb-client-core")
    user = f"--user={pwd.getpwuid(os.getuid()).pw_name}"
    data, sock, port = folder / "data", folder / "sock", free_port()
    quiet = ["--no-defaults", user, f"--datadir={data}"]
    subprocess.run(
        [install, *quiet, "--auth-root-authentication-method=normal", "--skip-test-db"],
        check=True,
        capture_output=True,
    )
    small = ["--innodb-buffer-pool-size=32M", "--performance-schema=off"]
    listen = [f"--socket={sock}", f"--port={port}", "--bind-address=127.0.0.1"]
    with started([server, *quiet, *small, *listen], port, folder / "log"):
        root = (client, "--no-defaults", f"--socket={sock}", "--user=root", "--skip-column-names")
        found = DatabaseServer("mysql", port, "service", root)
        # The rights of the user that the MariaDB app gives to other apps.
        found.run(
            f"CREATE USER service@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';"
            "GRANT ALL PRIVILEGES ON *.* TO service@'127.0.0.1' WITH GRANT OPTION"
        )
        yield found


@contextmanager
def postgresql(folder: Path) -> Iterator[DatabaseServer]:
    folders = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"))]
    initdb = program("initdb", "postgresql", *folders)
    server = program("postgres", "postgresql", *folders)
    psql = program("psql", "postgresql-client", *folders)
    # The server refuses to run as root; its own user must be able to reach the folder.
    as_user: list[str] = []
    if os.getuid() == 0:
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        shutil.chown(folder, "postgres", "postgres")
        for parent in folder.parents:
            if not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
    data, port = folder / "data", free_port()
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o644)
    subprocess.run(
        [
            *as_user,
            initdb,
            "-D",
            data,
            "-U",
            "owner",
            "-A",
            "scram-sha-256",
            f"--pwfile={password}",
        ],
        check=True,
        capture_output=True,
    )
    listen = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", str(folder)]
    with started([*as_user, server, "-D", str(data), *listen], port, folder / "log"):
        client = (psql, "-qtA", "-h", "127.0.0.1", "-p", str(port), "-U", "owner", "-d")
        found = DatabaseServer("postgresql", port, "owner", client)
        deadline = time.monotonic() + 60
        # It listens before it is ready.
        while subprocess.run(
            ["pg_isready", "-h", "127.0.0.1", "-p", str(port)], check=False
        ).returncode:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield found
