"""A router and a shard of two protocol versions, as in the middle of an upgrade: they agree on the newest
both speak, or refuse with both ranges named. The newer peer is the real shard behind a proxy that changes
what it says of itself, or a client of ours."""
import contextlib
import json
import subprocess
from concurrent import futures

import grpc
import httpx
import pytest

import stubs
from cluster import BIN, wait_until
from golden import checkpoint

PROMPT = {"prompt": [5, 6, 7], "max_tokens": 6, "temperature": 0, "ignore_eos": True, "logprobs": 1}
# A kept stream occupies a thread of the proxy: two lanes, twice over, and calls of the coordinator.
PROXY_THREADS = 16


class VersionProxy(grpc.GenericRpcHandler):
    """Passes every call on to the shard as bytes, but for the protocol versions in its hello."""

    def __init__(self, versions):
        self._versions = versions
        self.shard = None  # a channel
        self._server = grpc.server(futures.ThreadPoolExecutor(PROXY_THREADS))
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def service(self, details):
        method = details.method
        return grpc.stream_stream_rpc_method_handler(
            lambda requests, context: self._pass_on(method, requests, context))

    def _pass_on(self, method, requests, context):
        if self.shard is None:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the shard has no address yet")
        call = self.shard.stream_stream(method)(requests)
        context.add_callback(call.cancel)
        try:
            for answer in call:
                yield self._change(answer) if method.endswith("/Dispatch") else answer
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())

    def _change(self, answer):
        message = stubs.shard.DispatchAnswer.FromString(answer)
        if message.WhichOneof("kind") != "hello":
            return answer
        message.hello.protocol_min, message.hello.protocol_max = self._versions
        return message.SerializeToString()

    def stop(self):
        self._server.stop(0).wait()


class Router:
    """A coordinator, a shard behind a VersionProxy, and a router."""

    def __init__(self, folder, versions):
        self._folder = folder
        self._versions = versions
        self._undo = contextlib.ExitStack()

    def __enter__(self):
        with self._undo:
            self._start()
            self._undo = self._undo.pop_all()
        return self

    def __exit__(self, *_):
        self._undo.close()

    def _start(self):
        proxy = VersionProxy(self._versions)
        self._undo.callback(proxy.stop)
        coordinator = self._process("coordinator", "--expect-shards=1", "--replicas=1")["grpc"]
        common = [f"--model={checkpoint('olmoe')}", f"--coordinator={coordinator}"]
        shard = self._process("shard", *common, "--name=shard-1", f"--advertise={proxy.address}")
        proxy.shard = self._undo.enter_context(grpc.insecure_channel(shard["grpc"]))
        self.url = "http://" + self._process("router", *common, "--http-listen=127.0.0.1:0")["http"]

    def _process(self, name, *flags):
        """Starts a program; returns its addresses."""
        addresses = self._folder / f"{name}.json"
        with open(self._folder / f"{name}.log", "w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [str(BIN / f"moesaic-{name}"), *flags, f"--address-file={addresses}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._undo.callback(process.wait)
        self._undo.callback(process.kill)
        wait_until(lambda: addresses.exists() or process.poll() is not None, 60, f"{name} serves")
        return json.loads(addresses.read_text(encoding="utf-8"))

    def log(self):
        return (self._folder / "router.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("versions", [(1, 1), (1, 99), (0, 1)])
def test_a_router_agrees_with_a_shard_that_speaks_its_version_too(tmp_path, versions):
    with Router(tmp_path, versions) as router:
        wait_until(lambda: httpx.get(router.url + "/readyz").status_code == 200, 60, "ready")
        answer = httpx.post(router.url + "/v1/completions", json=PROMPT, timeout=60)
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("versions", [(2, 99), (0, 0)])
def test_a_router_refuses_a_shard_of_other_versions_and_names_both(tmp_path, versions):
    with Router(tmp_path, versions) as router:
        theirs = f"theirs is '{versions[0]} to {versions[1]}' (shard-1)"
        wait_until(lambda: theirs in router.log(), 60, "refusal logged")
        assert "protocol differs: ours is '1 to 1'" in router.log()
        assert httpx.get(router.url + "/readyz").status_code == 503


def open_dispatch(channel, versions):
    """What a shard says to the hello of a router that speaks `versions`."""
    stub = stubs.shard_grpc.ExpertShardStub(channel)
    hello = stubs.common.Hello(
        protocol_min=versions[0], protocol_max=versions[1], incarnation=1, sender="other-router",
        model=stub.Describe(stubs.shard.DescribeRequest()).model, lane=stubs.common.LANE_DECODE,
        wire_dtypes=[stubs.common.WIRE_DTYPE_F32])
    return next(stub.Dispatch(iter([stubs.shard.DispatchCall(hello=hello)])))


@pytest.fixture(scope="module")
def shard_channel(olmoe):
    with grpc.insecure_channel(olmoe.child("shard-1")["grpc"]) as channel:
        yield channel


@pytest.mark.parametrize("versions", [(1, 99), (0, 1)])
def test_a_shard_agrees_with_a_router_that_speaks_its_version_too(shard_channel, versions):
    answer = open_dispatch(shard_channel, versions)
    assert (answer.hello.protocol_min, answer.hello.protocol_max) == (1, 1)


@pytest.mark.parametrize("versions", [(2, 99), (0, 0)])
def test_a_shard_refuses_a_router_of_other_versions_and_names_both(shard_channel, versions):
    with pytest.raises(grpc.RpcError) as raised:
        open_dispatch(shard_channel, versions)
    assert raised.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert ("protocol differs: ours is '1 to 1', theirs is "
            f"'{versions[0]} to {versions[1]}' (other-router)") in raised.value.details()
