"""Checkpoints as files: which weights they hold, and damaged and altered copies."""
import hashlib
import json
import pathlib
import shutil
import struct


def copy(source, destination):
    """A copy whose files may be changed; returns its directory."""
    destination = pathlib.Path(destination)
    shutil.copytree(source, destination)
    for path in destination.iterdir():
        if path.is_file():
            path.chmod(0o644)
    return destination


def edit_json(path, **changes):
    """Sets keys of a JSON file; a value of None removes the key."""
    data = json.loads(path.read_text(encoding="utf-8"))
    for key, value in changes.items():
        if value is None:
            data.pop(key, None)
        else:
            data[key] = value
    path.write_text(json.dumps(data), encoding="utf-8")


def find_tensor(directory, name):
    """(file, offset of the first byte, byte count) of a tensor."""
    for path in sorted(pathlib.Path(directory).glob("model*.safetensors")):
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        if name in header:
            begin, end = header[name]["data_offsets"]
            return path, 8 + length + begin, end - begin
    raise KeyError(name)


def overwrite_tensor(directory, name, pattern):
    """Fills a tensor with a repeated byte pattern."""
    path, offset, size = find_tensor(directory, name)
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write((pattern * (size // len(pattern) + 1))[:size])


def rename_tensor(directory, name, new_name):
    """Renames a tensor in its file's header (both names of equal length): the old one is missing."""
    assert len(name) == len(new_name)
    path, _, _ = find_tensor(directory, name)
    path.write_bytes(path.read_bytes().replace(json.dumps(name).encode(), json.dumps(new_name).encode(), 1))


def weights_sha256(directory):
    """Of the weight files, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(pathlib.Path(directory).glob("model*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
