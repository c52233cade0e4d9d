"""A real PostgreSQL for a test session, and a proxy that mistreats the connections to it."""

import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_BINARIES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
PASSWORD = "geheim%/wort"


def binaries() -> Path | None:
    """The folder of initdb and postgres, the newest one, or None."""
    found = sorted(
        (path for glob in _BINARIES for path in Path("/").glob(glob[1:])),
        key=lambda path: [int(n) for n in re.findall(r"\d+", str(path))],
    )
    here = shutil.which("initdb")
    if here is not None:
        found.append(Path(here).resolve().parent)
    whole = [path for path in found if (path / "postgres").exists() and (path / "initdb").exists()]
    return whole[-1] if whole else None


def _account() -> dict[str, Any]:
    """PostgreSQL refuses to work for root: somebody else must be it."""
    if os.getuid() != 0:
        return {}
    import pwd  # noqa: PLC0415

    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            who = pwd.getpwnam(name)
            return {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": []}
    raise RuntimeError("PostgreSQL does not run as root, and there is neither postgres nor nobody")


class Server:
    """One PostgreSQL on a loopback port that is free, in a folder of its own."""

    def __init__(self) -> None:
        found = binaries()
        assert found is not None
        self._binaries = found
        self._account = _account()
        self.folder = Path(tempfile.mkdtemp(prefix="dipstream-pg-"))
        if self._account:
            os.chown(self.folder, self._account["user"], self._account["group"])
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        secret = self.folder / "secret"
        secret.write_text(PASSWORD, encoding="utf-8")
        secret.chmod(0o644)
        self._call(
            "initdb", "-D", self.folder / "data", "-U", "dip", "-A", "scram-sha-256",
            f"--pwfile={secret}", "--no-sync", "-E", "UTF8", "--locale=C",
        )  # fmt: skip

    def _call(self, name: str, *arguments: object) -> None:
        subprocess.run(
            [self._binaries / name, *map(str, arguments)],
            check=True,
            capture_output=True,
            cwd=self.folder,
            **self._account,
        )

    def start(self) -> None:
        log = (self.folder / "log").open("ab")
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "32MB",
            "max_connections": 40,
        }
        # Should the tests be killed, it goes with them.
        tied = ["setpriv", "--pdeathsig", "QUIT"] if shutil.which("setpriv") else []
        self._process = subprocess.Popen(
            [
                *tied,
                self._binaries / "postgres",
                "-D",
                self.folder / "data",
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ],
            stdout=log,
            stderr=log,
            cwd=self.folder,
            **self._account,
        )
        log.close()
        until(self._answers, 20)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(3)  # SIGQUIT: at once, as if it had crashed
            self._process.wait(20)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, port: int | None = None) -> str:
        word = PASSWORD.replace("%", "%25").replace("/", "%2F")
        return f"postgresql://dip:{word}@127.0.0.1:{port or self.port}/postgres"

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        import adbc_driver_postgresql.dbapi  # noqa: PLC0415

        with (
            adbc_driver_postgresql.dbapi.connect(self.url(), autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []

    def _answers(self) -> bool:
        try:
            return self.ask("SELECT 1") == [(1,)]
        except Exception:  # noqa: BLE001 - it is not up yet
            return False


def until(true: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"still not so after {seconds} s: {true}"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Proxy:
    """Stands between a client and the server, and can be told to do harm.

    Attributes
    ----------
    away
        Refuse connections, and cut those that are there.
    stalled
        Accept everything, forward nothing.
    cut_commits
        So many times, when the server says that a transaction is committed, reset the connection
        instead of passing that on.
    cut
        How often that has happened.
    commits
        How many transactions the server has said to be committed.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port = int(self._listener.getsockname()[1])
        self.away = False
        self.stalled = False
        self.cut_commits = 0
        self.cut = 0
        self.commits = 0
        self.connections = 0
        self._ending = False
        self._guard = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads = [threading.Thread(target=self._accept, name="proxy")]
        self._threads[0].start()

    def close(self) -> None:
        self._ending = True
        self.drop()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def go_away(self) -> None:
        self.away = True
        self.drop()

    def drop(self) -> None:
        with self._guard:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _reset(*pair)

    def _accept(self) -> None:
        while not self._ending:
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            if self.away:
                _reset(client)
                continue
            server = socket.create_connection(("127.0.0.1", self._server))
            self.connections += 1
            with self._guard:
                self._pairs.append((client, server))
            for source, target in ((client, server), (server, client)):
                source.settimeout(0.1)
                answers = source is server
                thread = threading.Thread(
                    target=self._forward, args=(source, target, answers), name="proxy"
                )
                self._threads.append(thread)
                thread.start()

    def _forward(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while not self._ending:
                try:
                    data = source.recv(1 << 16)
                except TimeoutError:
                    continue
                if not data:
                    break
                while self.stalled and not self._ending:
                    time.sleep(0.02)
                if answers and self._commit_in(data):
                    _reset(target, source)
                    return
                target.sendall(data)
        _reset(source, target)

    def _commit_in(self, data: bytes) -> bool:
        """Whether the server says COMMIT and nobody shall hear it."""
        # CommandComplete: 'C', the length, and what was done. The answer is small: one packet.
        if b"C\x00\x00\x00\x0bCOMMIT\x00" not in data:
            return False
        with self._guard:
            self.commits += 1
            if self.cut_commits > 0:
                self.cut_commits -= 1
                self.cut += 1
                return True
        return False


def _reset(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            # No farewell: the other side gets ECONNRESET.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


@contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
