"""`moesaic top`, in a terminal and out of one."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from cluster import BIN, run

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A program on a terminal of `columns` × `rows`."""

    def __init__(self, arguments, columns, rows):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(arguments[0], arguments)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.output = ""

    def read(self, seconds):
        """What it draws within a time."""
        end = time.monotonic() + seconds
        new = b""
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.fd], [], [], left)[0]:
                break
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # it has ended
                break
            if not data:
                break
            new += data
        return new.decode("utf-8", "replace")

    def wait(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def top(cluster, columns=100, rows=45, *arguments):
    return Terminal([str(BIN / "moesaic"), "top", "--state-dir", str(cluster.state_dir),
                     "--interval-s=0.3", *arguments], columns, rows)


def test_once_is_for_scripts(olmoe):
    olmoe.complete(prompt="work", max_tokens=2)
    for arguments in (("--once",), ()):  # no terminal: one picture, too
        done = run("top", "--state-dir", olmoe.state_dir, *arguments)
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout
        for part in ("Healthy", "tokens/s", "headroom", "cost", "router-1", "shard-1", "shard-2",
                     "EVENTS", "joined"):
            assert part in done.stdout, part
    assert run("top", "--coordinator", "127.0.0.1:1", "--once").returncode == 1


def test_is_drawn_again_until_q(olmoe):
    terminal = top(olmoe)
    drawn = terminal.read(1.5)
    assert drawn.count("\x1b[H") >= 3, "drawn several times"
    assert "shard-2" in drawn and "q quits" in drawn
    assert termios.tcgetattr(terminal.fd)[3] & termios.ECHO == 0
    os.write(terminal.fd, b"q")
    assert terminal.read(5).endswith("\x1b[?25h\x1b[?1049l"), "the terminal is as it was"
    assert terminal.wait() == 0


def test_a_signal_puts_the_terminal_back(olmoe):
    terminal = top(olmoe)
    terminal.read(0.8)
    os.kill(terminal.pid, signal.SIGTERM)
    assert "\x1b[?1049l" in terminal.read(5)
    assert terminal.wait() == 0


def test_fits_a_narrow_terminal(olmoe):
    terminal = top(olmoe, columns=44, rows=14)
    terminal.read(0.5)  # the first picture may be older than the size
    picture = terminal.read(1).split("\x1b[H")[-2]
    lines = [ESCAPES.sub("", line) for line in picture.split("\n")]
    assert len(lines) <= 15
    assert all(len(line.rstrip("\r")) <= 44 for line in lines), lines
    os.write(terminal.fd, b"q")
    terminal.read(5)
    assert terminal.wait() == 0
