"""The scripts that make committed data still make exactly that data."""

import filecmp
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(script, *args):
    subprocess.run([sys.executable, ROOT / "scripts" / script, *map(str, args)], check=True,
                   stdout=subprocess.DEVNULL)


def safetensors(tensors):
    header, data = {}, b""
    for name, content in tensors.items():
        header[name] = {"dtype": "U8", "shape": [len(content)],
                        "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


class ScriptsTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.dir = pathlib.Path(scratch.name)

    def test_tiny_checkpoint_is_what_its_script_makes(self):
        run("make_tiny_checkpoint.py", self.dir, "--seed", 1)
        made = sorted(path.name for path in self.dir.iterdir())
        self.assertEqual(made, sorted(p.name for p in (ROOT / "models/tiny").iterdir() if p.name != "README.md"))
        same, different, errors = filecmp.cmpfiles(self.dir, ROOT / "models/tiny", made, shallow=False)
        self.assertEqual((different, errors), ([], []))

    def make_golden(self):
        source = self.dir / "full"
        (source / "model").mkdir(parents=True)
        (source / "text").mkdir()
        (source / "tokenizers" / "one").mkdir(parents=True)
        (source / "model" / "config.json").write_text("{}")
        (source / "text" / "cases.json").write_text("[]")
        (source / "tokenizers" / "one" / "tokenizer.json").write_text("{}")
        (source / "model" / "golden.safetensors").write_bytes(safetensors({
            "p0.embed": b"short prompts are kept whole",
            "p3.layers.0.out": b"left out",
            "p3.layers.1.topk_idx": b"kept",
            "p3.logits": b"kept too",
        }))
        return source

    def test_trimmed_and_unpacked(self):
        archives, unpacked = self.dir / "archives", self.dir / "unpacked"
        run("trim_goldens.py", self.make_golden(), archives)
        first = {path.name: path.read_bytes() for path in archives.iterdir()}
        run("trim_goldens.py", self.dir / "full", archives)
        self.assertEqual(first, {path.name: path.read_bytes() for path in archives.iterdir()})

        run("unpack_goldens.py", archives, unpacked)
        golden = (unpacked / "model" / "golden.safetensors").read_bytes()
        size = struct.unpack("<Q", golden[:8])[0]
        header = json.loads(golden[8 : 8 + size])
        self.assertEqual(list(header), ["p0.embed", "p3.layers.1.topk_idx", "p3.logits"])
        self.assertEqual(golden[8 + size :], b"short prompts are kept wholekeptkept too")
        self.assertTrue((unpacked / "tokenizers" / "one" / "tokenizer.json").exists())

    def test_unpacking_again_repairs_only_what_is_not_stamped(self):
        archives, unpacked = self.dir / "archives", self.dir / "unpacked"
        run("trim_goldens.py", self.make_golden(), archives)
        run("unpack_goldens.py", archives, unpacked)
        config = unpacked / "model" / "config.json"
        config.write_text("changed")
        run("unpack_goldens.py", archives, unpacked)
        self.assertEqual(config.read_text(), "changed")
        (unpacked / ".model.tar.xz.sha256").unlink()
        run("unpack_goldens.py", archives, unpacked)
        self.assertEqual(config.read_text(), "{}")


if __name__ == "__main__":
    unittest.main()
