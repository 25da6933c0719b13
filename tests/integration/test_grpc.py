"""The gRPC services, met by an ordinary client with generated stubs."""
import struct
import subprocess
import threading

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase)

import checkpoints
import stubs
from cluster import BIN, Cluster, wait_until
from golden import checkpoint


@pytest.fixture(scope="module")
def inference(olmoe):
    with grpc.insecure_channel(olmoe.child("router-1")["grpc"]) as channel:
        yield stubs.inference_grpc.InferenceStub(channel)


@pytest.fixture(scope="module")
def shard_channel(olmoe):
    with grpc.insecure_channel(olmoe.child("shard-1")["grpc"]) as channel:
        yield channel


def generate(stub, **fields):
    request = stubs.inference.GenerateRequest(
        prompt_token_ids=stubs.inference.TokenIds(ids=[5, 6, 7]), ignore_eos=True,
        sampling=stubs.inference.SamplingParams(temperature=0), **fields)
    return [token for part in stub.Generate(request) for token in part.token_ids]


def test_generate_equals_http_and_resumes(olmoe, inference):
    tokens = generate(inference, max_tokens=12)
    answer = olmoe.complete(prompt=[5, 6, 7], max_tokens=12, temperature=0, ignore_eos=True,
                            return_token_ids=True)
    assert answer["choices"][0]["token_ids"] == tokens
    # Another router would take over with what was generated so far.
    assert generate(inference, max_tokens=12, resume_token_ids=tokens[:5]) == tokens[5:]


def test_a_trace_and_a_tenant_come_as_metadata(olmoe, inference):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    call = inference.Generate(
        stubs.inference.GenerateRequest(
            prompt_token_ids=stubs.inference.TokenIds(ids=[5, 6, 7]), max_tokens=2,
            ignore_eos=True),
        metadata=[("traceparent", f"00-{trace}-00f067aa0ba902b7-01"),
                  ("x-moesaic-tenant", "by-grpc")])
    assert list(call)
    (answered,) = [value for key, value in call.initial_metadata() if key == "traceparent"]
    version, answered_trace, span, flags = answered.split("-")
    assert (version, answered_trace, flags) == ("00", trace, "01") and span != "00f067aa0ba902b7"
    assert 'moesaic_generated_tokens_total{tenant="by-grpc"} 2' in olmoe.http.get("/metrics").text


def test_bad_requests_have_codes(inference):
    with pytest.raises(grpc.RpcError) as raised:
        list(inference.Generate(stubs.inference.GenerateRequest(
            prompt_token_ids=stubs.inference.TokenIds(ids=[10**6]), max_tokens=1)))
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.RpcError) as raised:
        list(inference.Generate(stubs.inference.GenerateRequest(model="nobody", text="x")))
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND


def test_health_and_reflection(olmoe, shard_channel):
    for address in (olmoe.child("router-1")["grpc"], olmoe.child("coordinator")["grpc"]):
        with grpc.insecure_channel(address) as channel:
            check = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
            assert check.status == health_pb2.HealthCheckResponse.SERVING
    check = health_pb2_grpc.HealthStub(shard_channel).Check(health_pb2.HealthCheckRequest())
    assert check.status == health_pb2.HealthCheckResponse.SERVING
    for child, service in (("router-1", "Inference"), ("shard-1", "ExpertShard"),
                           ("coordinator", "Coordinator")):
        with grpc.insecure_channel(olmoe.child(child)["grpc"]) as channel:
            assert f"moesaic.v1.{service}" in ProtoReflectionDescriptorDatabase(
                channel).get_services()


def hello(described, **changes):
    model = stubs.common.ModelIdentity()
    model.CopyFrom(described.model)
    fields = dict(protocol_min=1, protocol_max=1, incarnation=1, sender="test-router",
                  wire_dtypes=[stubs.common.WIRE_DTYPE_F32], lane=stubs.common.LANE_DECODE)
    for name, value in changes.items():
        if name.startswith("protocol"):
            fields[name] = value
        else:
            setattr(model, name, value)
    return stubs.shard.DispatchCall(hello=stubs.common.Hello(model=model, **fields))


def test_a_dispatch_is_an_ordinary_message(shard_channel):
    """What any client can do: two rows through one expert, as plain protobuf."""
    stub = stubs.shard_grpc.ExpertShardStub(shard_channel)
    described = stub.Describe(stubs.shard.DescribeRequest())
    hidden = described.model.hidden_size
    layer, unit = described.units[0].layer, described.units[0].units[0]
    request = stubs.shard.DispatchRequest(
        dispatch_id=7, layer=layer, dtype=stubs.common.WIRE_DTYPE_F32, row_count=2,
        rows=struct.pack(f"<{2 * hidden}f", *([0.5] * (2 * hidden))), row_index=[0, 1],
        expert_id=[unit, unit], weight=[1.0, 0.5])
    answered = threading.Event()

    def calls():
        yield hello(described)
        yield stubs.shard.DispatchCall(dispatch=request)
        answered.wait(60)  # ending the stream would tell the shard that nobody wants the reply

    answers = stub.Dispatch(calls())
    assert next(answers).WhichOneof("kind") == "hello"
    reply = next(answers).reply
    answered.set()
    assert reply.dispatch_id == 7 and reply.code == stubs.shard.DISPATCH_CODE_OK
    assert list(reply.row_index) == [0, 1] and list(reply.unit_id) == [unit, unit]
    rows = struct.unpack(f"<{2 * hidden}f", reply.rows)
    assert any(rows[:hidden])
    assert all(abs(half - full / 2) < 1e-6 for full, half in zip(rows[:hidden], rows[hidden:]))


@pytest.mark.parametrize("field, wrong", [
    ("model_fingerprint", "0" * 64), ("numerics_id", "f" * 16), ("hidden_size", 97),
    ("unit_size", 3), ("protocol_min", 99),
])
def test_a_mismatch_is_refused_with_both_values(shard_channel, field, wrong):
    stub = stubs.shard_grpc.ExpertShardStub(shard_channel)
    described = stub.Describe(stubs.shard.DescribeRequest())
    changes = {field: wrong}
    if field == "protocol_min":
        changes["protocol_max"] = wrong
    with pytest.raises(grpc.RpcError) as raised:
        list(stub.Dispatch(iter([hello(described, **changes)])))
    assert raised.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    right = getattr(described.model, field) if field != "protocol_min" else 1
    assert str(wrong) in raised.value.details() and str(right) in raised.value.details()


def test_a_shard_of_another_checkpoint_does_not_join(tmp_path):
    """A revision of the same model with one weight changed: named, refused, and no harm done."""
    other = checkpoints.copy(checkpoint("olmoe"), tmp_path / "other")
    checkpoints.overwrite_tensor(other, "model.layers.0.mlp.experts.0.up_proj.weight", b"\x00\x3f")
    with Cluster(checkpoint("olmoe"), shards=1) as cluster:
        log = tmp_path / "stranger.log"
        with open(log, "w", encoding="utf-8") as output:
            stranger = subprocess.Popen(
                [str(BIN / "moesaic-shard"), f"--model={other}", "--name=stranger",
                 f"--coordinator={cluster.state()['coordinator']}"], stdout=output, stderr=output)
        try:
            wait_until(lambda: "fingerprint" in log.read_text(encoding="utf-8"), 60, "refusal logged")
        finally:
            stranger.terminate()
            stranger.wait(timeout=60)
        assert [s["placed"]["shard"] for s in cluster.status()["shards"]] == ["shard-1"]
        cluster.complete(prompt="still here", max_tokens=2)
