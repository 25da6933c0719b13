"""A PostgreSQL server of a test's own: a data folder in a temporary one, a free port of loopback."""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

from cluster import wait_until


def _programs():
    """Where Debian keeps initdb and postgres; they are not in PATH."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    assert found, "PostgreSQL is not installed: scripts/install_deps.sh --tests"
    return found[-1].parent


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Postgres:
    """Use as a context manager; `kill` and `start` as often as wanted in between."""

    def __init__(self):
        self.programs = _programs()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="moesaic-postgres-"))
        self.port = _free_port()
        self.process = None
        # PostgreSQL refuses to be run by root.
        self.prefix = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}",
                           "--clear-groups"]

    @property
    def url(self):
        return f"postgresql://moesaic@127.0.0.1:{self.port}/postgres"

    def _run(self, *command):
        return subprocess.run([*self.prefix, *map(str, command)], cwd=self.folder,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              check=False)

    def __enter__(self):
        try:
            done = self._run(self.programs / "initdb", "-D", self.folder / "data", "-U", "moesaic",
                             "--auth=trust", "--no-instructions", "--no-sync", "-E", "UTF8",
                             "--locale=C")
            assert done.returncode == 0, done.stderr
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        """Starts the server and waits until it answers."""
        def up():
            if self.process is None or self.process.poll() is not None:
                # After a kill the backends of the old server may need a moment to notice.
                with open(self.folder / "log", "ab") as log:
                    self.process = subprocess.Popen(
                        [*self.prefix, self.programs / "postgres", "-D", self.folder / "data",
                         "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
                         "-c", "unix_socket_directories=", "-c", "shared_buffers=16MB",
                         "-c", "max_connections=30"],
                        cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            return self._run(self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p",
                             self.port).returncode == 0
        try:
            wait_until(up, 60, "PostgreSQL answers")
        except AssertionError:
            print((self.folder / "log").read_text(encoding="utf-8", errors="replace")[-4000:])
            raise

    def kill(self):
        """kill -9 of the server; what it has committed is in its log."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=30)

    def query(self, sql):
        """Rows of a statement as lists of text."""
        done = self._run(self.programs / "psql", "-X", "-A", "-t", "-F", "\t", "-v",
                         "ON_ERROR_STOP=1", "-d", self.url, "-c", sql)
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]

    def __exit__(self, *failure):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)  # at once; nothing of it is needed any more
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
