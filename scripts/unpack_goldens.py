#!/usr/bin/env python3
"""Unpacks the archives of tests/golden into a folder, as the tests read them.

    scripts/unpack_goldens.py tests/golden build/dev/golden

The result has the layout of the full golden data. An archive that was already unpacked is skipped; one whose
unpacking was interrupted is unpacked again. Standard library only.
"""

import argparse
import hashlib
import pathlib
import shutil
import sys
import tarfile
import tempfile


def unpack(archive, target):
    """Unpacks one archive; its top folders replace those of the same name in target."""
    stamp = target / f".{archive.name}.sha256"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    with tempfile.TemporaryDirectory(dir=target) as scratch:
        with tarfile.open(archive, "r:xz") as tar:
            for member in tar:
                # The archives hold plain files below a folder and nothing else.
                name = pathlib.PurePosixPath(member.name)
                if not member.isfile() or name.is_absolute() or ".." in name.parts:
                    raise ValueError(f"{archive}: unexpected member {member.name}")
                out = pathlib.Path(scratch) / name
                out.parent.mkdir(parents=True, exist_ok=True)
                with tar.extractfile(member) as source, open(out, "wb") as sink:
                    shutil.copyfileobj(source, sink)
        for folder in pathlib.Path(scratch).iterdir():
            shutil.rmtree(target / folder.name, ignore_errors=True)
            folder.rename(target / folder.name)
    # Written last: without it the next run starts again.
    stamp.write_text(digest)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=pathlib.Path, help="folder of the *.tar.xz archives")
    parser.add_argument("target", type=pathlib.Path, help="where the files go")
    args = parser.parse_args()
    archives = sorted(args.source.glob("*.tar.xz"))
    if not archives:
        sys.exit(f"unpack_goldens: no archives in {args.source}")
    args.target.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        unpack(archive, args.target)


if __name__ == "__main__":
    main()
