"""What these scripts use from other folders of the repository: the local cluster of the integration tests, their
altered checkpoints and their reading of routed experts, and files that are replaced at once."""

import argparse
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
DEMO = ROOT / "models" / "demo"

sys.path += [str(ROOT / "tests" / "integration"), str(ROOT / "scripts")]

from checkpoints import copy, overwrite_tensor  # noqa: E402
from cluster import BIN, Cluster  # noqa: E402
from golden import decode_routing  # noqa: E402
from make_tiny_checkpoint import write_file  # noqa: E402

__all__ = ["BIN", "Cluster", "DEMO", "ROOT", "add_cluster_arguments", "copy", "decode_routing", "overwrite_tensor",
           "write_file"]


def add_cluster_arguments(parser: argparse.ArgumentParser) -> None:
    """--model, --shards and --bin: the local cluster that a script starts."""
    parser.add_argument("--model", type=pathlib.Path, default=DEMO, help="the checkpoint that is served (%(default)s)")
    parser.add_argument("--shards", type=int, default=3, help="of the local cluster (%(default)s)")
    parser.add_argument("--bin", type=pathlib.Path, default=BIN, help="folder of its binaries (%(default)s)")
