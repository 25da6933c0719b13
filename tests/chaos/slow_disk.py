#!/usr/bin/env python3
"""A disk under a checkpoint that can be slow, or stop working: a read-only file system (FUSE) over a
folder. Run as a program it is the file system; `Disk` starts that program and steers it."""
import errno
import os
import pathlib
import subprocess
import sys
import tempfile
import time

START_TIMEOUT_S = 20


class Disk:
    """The folder `source` again at `mountpoint`. Steered through a file, which every read looks at:
    "0.05" lets reads take so many seconds, "fail" lets them fail."""

    def __init__(self, source, mountpoint, control):
        self.mountpoint = pathlib.Path(mountpoint)
        self._control = pathlib.Path(control)
        self.delay(0)
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(source), str(mountpoint), str(control)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + START_TIMEOUT_S
        while not os.path.ismount(mountpoint):
            if self._process.poll() is not None or time.monotonic() > end:
                self.close()
                raise RuntimeError(f"{mountpoint} cannot be mounted")
            time.sleep(0.02)

    def delay(self, seconds):
        """Every read (of up to 128 KiB) from now on takes so long."""
        self._steer(str(seconds))

    def fail(self):
        """Every read from now on is an I/O error."""
        self._steer("fail")

    def _steer(self, order):
        new = self._control.with_suffix(".new")
        new.write_text(order)
        new.rename(self._control)
        if self.mountpoint.is_mount():
            self.forget_pages()

    def forget_pages(self):
        """What the kernel has cached of the files is read from the disk again, also through maps that
        exist: FUSE drops the pages of a file that is opened."""
        for file in self.mountpoint.iterdir():
            os.close(os.open(file, os.O_RDONLY))

    def close(self):
        # Lazily: a process may still have a file open.
        subprocess.run(["umount", "--lazy", str(self.mountpoint)], stderr=subprocess.DEVNULL)
        self._process.kill()
        self._process.wait()


def why_unavailable():
    """Why no such disk can be made here; None when it can."""
    with tempfile.TemporaryDirectory(prefix="moesaic-disk-") as folder:
        path = pathlib.Path(folder)
        (path / "source").mkdir()
        (path / "mount").mkdir()
        try:
            Disk(path / "source", path / "mount", path / "control").close()
        except (OSError, RuntimeError) as error:
            return f"FUSE is not permitted, or mfusepy (tests/requirements.txt) is missing: {error}"
    return None


def serve(source, mountpoint, control):
    """Is the file system until it is unmounted."""
    import mfusepy

    class Files(mfusepy.Operations):
        use_ns = True  # times are integers

        def getattr(self, path, fh=None):
            try:
                info = os.stat(source + path)
            except OSError as error:
                raise mfusepy.FuseOSError(error.errno) from error
            names = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid")
            return {name: getattr(info, name) for name in names} | {"st_mtime": info.st_mtime_ns}

        def readdir(self, path, fh):
            return [".", "..", *os.listdir(source + path)]

        def open(self, path, flags):
            return os.open(source + path, os.O_RDONLY)

        def release(self, path, fh):
            os.close(fh)

        def read(self, path, size, offset, fh):
            order = pathlib.Path(control).read_text()
            if order == "fail":
                raise mfusepy.FuseOSError(errno.EIO)
            time.sleep(float(order))
            return os.pread(fh, size, offset)

    mfusepy.FUSE(Files(), mountpoint, foreground=True, ro=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
