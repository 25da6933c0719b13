#!/usr/bin/env python3
"""Packs the inputs of a fuzz entry into one file, and unpacks them.

  fuzz_corpus.py pack FOLDER PACK     every file of FOLDER, smallest first
  fuzz_corpus.py unpack PACK FOLDER   one file an input, named by its SHA-1 as libFuzzer names them

A pack is a run of inputs, each its length in four bytes, least significant first, and its bytes.
"""
import hashlib
import pathlib
import struct
import sys


def pack(folder, path):
    inputs = sorted({file.read_bytes() for file in folder.iterdir()}, key=lambda b: (len(b), b))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(struct.pack("<I", len(data)) + data for data in inputs))
    print(f"{path}: {len(inputs)} inputs")


def unpack(path, folder):
    folder.mkdir(parents=True, exist_ok=True)
    data = path.read_bytes()
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        piece = data[at + 4 : at + 4 + size]
        if len(piece) != size:
            sys.exit(f"{path} is cut off")
        (folder / hashlib.sha1(piece).hexdigest()).write_bytes(piece)
        at += 4 + size


def main():
    if len(sys.argv) != 4 or sys.argv[1] not in ("pack", "unpack"):
        sys.exit(__doc__)
    {"pack": pack, "unpack": unpack}[sys.argv[1]](*map(pathlib.Path, sys.argv[2:]))


if __name__ == "__main__":
    main()
