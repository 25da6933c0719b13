"""Fixtures shared by the integration tests."""
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
# The demo model's problems and their scoring belong to its recipe; behind everything else, for its
# modules have everyday names.
sys.path.append(str(HERE.parents[1] / "models" / "demo" / "train"))

import golden  # noqa: E402
from cluster import Cluster  # noqa: E402


@pytest.fixture(scope="module")
def olmoe():
    """A cluster of two shards that serves the smallest checkpoint exactly."""
    with Cluster(golden.checkpoint("olmoe"), shards=2, compute_dtype="f32",
                 enable_return_routed_experts="true") as cluster:
        yield cluster
