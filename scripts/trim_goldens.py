#!/usr/bin/env python3
"""Writes the trimmed, compressed copy of the golden data that lives in tests/golden.

    scripts/trim_goldens.py ../shared/golden tests/golden

One NAME.tar.xz per checkpoint (the checkpoint whole, its golden.safetensors trimmed) and one text.tar.xz
(text/ and tokenizers/ whole). Of a golden.safetensors, everything is kept for prompts p0 and p1, and of p2 and
p3 what a test of results needs: ids, logits, expert choices and weights. Archives are reproducible: the same
input gives the same bytes. Standard library only.
"""

import argparse
import io
import json
import lzma
import os
import pathlib
import re
import struct
import sys
import tarfile
import tempfile

# What is kept of the long prompts; layer outputs would be two thirds of the data.
KEPT_OF_LONG_PROMPTS = re.compile(r"p[23]\.(input_ids|logits|layers\.\d+\.(topk_idx|topk_weight))")
SHORT_PROMPT = re.compile(r"p[01]\.")
# Literal position bits fit 2- and 4-byte numbers, which is what the archives mostly hold.
XZ_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 2, "lp": 2, "pb": 2}]
TEXT_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9}]


def keep(name):
    return bool(SHORT_PROMPT.match(name) or KEPT_OF_LONG_PROMPTS.fullmatch(name))


def trim_safetensors(data):
    """A safetensors file with only the tensors to keep, in their order in the data."""
    header_bytes = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + header_bytes])
    header.pop("__metadata__", None)
    kept_header, parts, position = {}, [], 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        if not keep(name):
            continue
        begin, end = entry["data_offsets"]
        kept_header[name] = dict(entry, data_offsets=[position, position + end - begin])
        parts.append(data[8 + header_bytes + begin : 8 + header_bytes + end])
        position += end - begin
    text = json.dumps(kept_header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def add(archive, name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = 0o644
    archive.addfile(info, io.BytesIO(data))


def write_archive(path, files, filters):
    """files: [(name in the archive, bytes)]. Returns the bytes written."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files:
            add(archive, name, data)
    packed = lzma.compress(plain.getvalue(), format=lzma.FORMAT_XZ, filters=filters)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as out:
        out.write(packed)
        out.flush()
        os.fsync(out.fileno())
    os.chmod(out.name, 0o644)
    os.replace(out.name, path)
    return len(packed)


def checkpoint_files(folder):
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        if path.name == "golden.safetensors":
            data = trim_safetensors(data)
        yield f"{folder.name}/{path.name}", data


def tree_files(source, folders):
    for folder in folders:
        for path in sorted((source / folder).rglob("*")):
            if path.is_file():
                yield str(path.relative_to(source)), path.read_bytes()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=pathlib.Path, help="the full golden data")
    parser.add_argument("target", type=pathlib.Path, help="where the archives go")
    args = parser.parse_args()
    args.target.mkdir(parents=True, exist_ok=True)
    total = 0
    for config in sorted(args.source.glob("*/config.json")):
        folder = config.parent
        size = write_archive(
            args.target / f"{folder.name}.tar.xz", checkpoint_files(folder), XZ_FILTERS
        )
        print(f"{folder.name}.tar.xz {size}")
        total += size
    size = write_archive(
        args.target / "text.tar.xz", tree_files(args.source, ["text", "tokenizers"]), TEXT_FILTERS
    )
    print(f"text.tar.xz {size}\ntotal {total + size}")


if __name__ == "__main__":
    sys.exit(main())
