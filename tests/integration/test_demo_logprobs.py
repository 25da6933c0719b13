"""The demo model's log-probabilities are those of Hugging Face transformers."""
import json

import numpy

from checkpoints import weights_sha256
from cluster import ROOT, Cluster
from golden import LOGPROB_TOLERANCE_F32

MODEL = ROOT / "models/demo"
REFERENCE = ROOT / "tests/golden/demo_logprobs.json"


def test_f32_equals_the_reference():
    reference = json.loads(REFERENCE.read_text(encoding="utf-8"))
    assert weights_sha256(MODEL) == reference["weights_sha256"], (
        "computed for other weights: scripts/reference_logprobs.py --write makes it anew")
    errors = []
    with Cluster(MODEL, shards=3, compute_dtype="f32", wire_dtype="f32") as cluster:
        for conversation in reference["conversations"]:
            ours = numpy.array(cluster.prompt_logprobs(conversation["ids"]))
            errors.append(numpy.abs(ours - conversation["logprobs"]).max())
    print(f"largest |Δ log p| of {len(errors)} conversations: {max(errors):.2e}")
    assert max(errors) <= LOGPROB_TOLERANCE_F32
