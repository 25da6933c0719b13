"""Fixtures shared by the integration tests."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import golden  # noqa: E402
from cluster import Cluster  # noqa: E402


@pytest.fixture(scope="module")
def olmoe():
    """A cluster of two shards that serves the smallest checkpoint exactly."""
    with Cluster(golden.checkpoint("olmoe"), shards=2, compute_dtype="f32",
                 enable_return_routed_experts="true") as cluster:
        yield cluster
