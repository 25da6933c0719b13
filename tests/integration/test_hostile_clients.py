"""Slow, broken and hostile clients: each gets the right status or is cut off, others are served
meanwhile, and no process dies or grows."""
import contextlib
import json
import pathlib
import socket
import subprocess
import time
from urllib.parse import urlsplit

import grpc
import pytest

import stubs
from cluster import wait_until

REQUEST = {"prompt": [5, 6, 7], "max_tokens": 4, "ignore_eos": True}


def raw(cluster, receive_buffer=0):
    address = urlsplit(cluster.url)
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(30)
    connection.connect((address.hostname, address.port))
    return connection


def post(path, body, *headers):
    head = "".join(f"{line}\r\n" for line in (f"POST {path} HTTP/1.1", "host: x", *headers,
                                               f"content-length: {len(body)}"))
    return head.encode() + b"\r\n" + body


def read_all(connection):
    """What the server sends until it closes; a reset counts as a close."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def send_all(connection, data):
    """False when the server has closed before it had everything."""
    try:
        connection.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def status_of(answer):
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    return int(answer.split()[1])


def rss_mb(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


@pytest.fixture
def served(olmoe):
    """The cluster, which after the test serves as before and has hardly grown."""
    olmoe.complete(**REQUEST)
    router = olmoe.child("router-1")["pid"]
    before = rss_mb(router)
    yield olmoe
    olmoe.complete(**REQUEST)
    olmoe.assert_alive()
    assert rss_mb(router) - before < 64


def test_slow_headers_and_bodies_do_not_hold_others_up(served):
    slow = []
    for _ in range(50):
        connection = raw(served)
        connection.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\n")
        slow.append(connection)
    for _ in range(50):
        connection = raw(served)
        connection.sendall(post("/v1/completions", b"x" * 100)[:-50])
        slow.append(connection)
    end = time.monotonic() + 9  # short of the time limit of a header
    while time.monotonic() < end:
        for connection in slow[:50]:
            connection.sendall(b"x: y\r\n")
        served.complete(**REQUEST)
        time.sleep(0.5)
    # A header that is not whole in time is answered so; the bodies still have time.
    assert status_of(read_all(slow[0])) == 408
    for connection in slow:
        connection.close()


def test_a_client_that_never_reads_does_not_hold_others_up(served):
    streams = []
    body = json.dumps({**REQUEST, "max_tokens": 200, "stream": True, "logprobs": 5}).encode()
    for _ in range(8):
        connection = raw(served, receive_buffer=2048)
        connection.sendall(post("/v1/completions", body))
        streams.append(connection)
    for _ in range(10):
        served.complete(**REQUEST)
    for connection in streams:
        connection.close()


def test_a_client_that_closes_its_side_is_taken_as_gone(served):
    with raw(served) as connection:
        connection.sendall(post("/v1/completions", json.dumps(
            {**REQUEST, "max_tokens": 2000, "stream": True}).encode()))
        assert connection.recv(16)
        connection.shutdown(socket.SHUT_WR)
        read_all(connection)  # ends long before 2000 tokens would
    wait_until(lambda: running(served) == 0, 10, "the generation is cancelled")


def running(cluster):
    for line in cluster.http.get("/metrics").text.splitlines():
        if line.startswith("moesaic_running_generations"):
            return float(line.split()[-1])
    raise AssertionError("no moesaic_running_generations")


def test_vanished_clients_are_probed(served):
    """The kernel asks whether a silent peer is still there (TCP keep-alive)."""
    with raw(served) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        connection.recv(65536)
        ours = connection.getsockname()[1]
        done = subprocess.run(["ss", "-tnoH", "state", "established", f"( dport = :{ours} )"],
                              capture_output=True, text=True, check=True)
        assert "timer:(keepalive" in done.stdout, done.stdout


BROKEN = [
    ("headers", b"GET /health HTTP/1.1\r\n" + b"x: " + b"y" * (1 << 20) + b"\r\n\r\n", {431}),
    ("many headers", b"GET /health HTTP/1.1\r\n" + b"a: b\r\n" * 20000 + b"\r\n", {431}),
    ("url", b"GET /" + b"x" * (1 << 20) + b" HTTP/1.1\r\n\r\n", {431}),
    ("body", b"POST /v1/completions HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", {413}),
    ("chunk", b"POST /v1/completions HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nffffffff\r\n", {413}),
    ("chunk line", b"POST /v1/completions HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;"
     + b"x" * (1 << 20), {400}),
    ("bad chunk", b"POST /v1/completions HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n", {400}),
    ("negative length", b"POST /v1/completions HTTP/1.1\r\ncontent-length: -1\r\n\r\n", {400}),
    ("two lengths", b"POST /v1/completions HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 40\r\n\r\n{}",
     {400}),
    ("length and chunks", b"POST /v1/completions HTTP/1.1\r\ncontent-length: 5\r\n"
     b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    ("chunks and length", b"POST /v1/completions HTTP/1.1\r\ntransfer-encoding: chunked\r\n"
     b"content-length: 5\r\n\r\n0\r\n\r\n", {400}),
    ("encoding twice", b"POST /v1/completions HTTP/1.1\r\ntransfer-encoding: chunked, identity\r\n\r\n"
     b"0\r\n\r\n", {400, 411}),
    ("bare line feeds", b"GET /health HTTP/1.1\nhost: x\n\n", {400}),
    ("space before colon", b"GET /health HTTP/1.1\r\nhost : x\r\n\r\n", {400}),
    ("nul in header", b"GET /health HTTP/1.1\r\nx: a\x00b\r\n\r\n", {400}),
    ("binary", bytes(range(256)) * 16, {400}),
    ("tls hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 507, {400}),
    ("http 2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 404, 405, 505}),
    ("version", b"GET /health HTTP/9.9\r\n\r\n", {400, 505}),
]


@pytest.mark.parametrize("name, request_bytes, statuses", BROKEN, ids=[case[0] for case in BROKEN])
def test_broken_and_oversized_requests(served, name, request_bytes, statuses):
    with raw(served) as connection:
        send_all(connection, request_bytes)
        answer = read_all(connection)
    assert status_of(answer) in statuses, (name, answer[:300])
    # Nothing behind a request of doubtful length may be taken for a second one.
    assert answer.count(b"HTTP/1.1 ") == 1, answer


@pytest.mark.parametrize("body", [
    pytest.param(b'{"prompt": "' + b"x" * (10 << 20) + b'", "max_tokens": 1}', id="10 MB line"),
    pytest.param(b'{"prompt": ' + b"[" * 5_000_000, id="nested lists"),
    pytest.param(b'{"a":' * 1_000_000, id="nested objects"),
    pytest.param(b"[" + b"1," * 4_000_000 + b"1]", id="many numbers"),
    pytest.param(b'{"prompt": [' + b"1," * 3_000_000 + b"1]}", id="many tokens"),
    pytest.param(b"\x00\xff" * 1_000_000, id="binary"),
])
def test_large_and_deep_bodies(served, body):
    response = served.http.post("/v1/completions", content=body)
    assert response.status_code == 400 and response.json()["error"]["message"], response.text[:300]


def test_pipelined_requests_are_answered_in_turn(served):
    with raw(served) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n" * 500
                           + b"GET /nothing HTTP/1.1\r\nconnection: close\r\n\r\n")
        answer = read_all(connection)
    assert answer.count(b"HTTP/1.1 200 ") == 500 and answer.count(b"HTTP/1.1 404 ") == 1


def test_grpc_metadata_is_bounded(served):
    with grpc.insecure_channel(served.child("router-1")["grpc"]) as channel:
        stub = stubs.inference_grpc.InferenceStub(channel)
        request = stubs.inference.GenerateRequest(
            prompt_token_ids=stubs.inference.TokenIds(ids=[5, 6, 7]), max_tokens=1)
        assert list(stub.Generate(request, metadata=[("x-a", "y" * 4000)]))
        with pytest.raises(grpc.RpcError) as refused:
            list(stub.Generate(request, metadata=[("x-a", "y" * (1 << 20))]))
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("garbage", [
    pytest.param(bytes(range(256)) * 64, id="binary"),
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="http 1"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 507, id="tls hello"),
    pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\xff\xff\x04\x00\x00\x00\x00\x00" * 64,
                 id="broken frames"),
    pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
                 + b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" * 1 + b"12345678", id="ping"),
])
def test_garbage_on_the_grpc_ports(served, garbage):
    for name in ("router-1", "shard-1", "coordinator"):
        host, port = served.child(name)["grpc"].rsplit(":", 1)
        for _ in range(5):
            with socket.create_connection((host, int(port)), timeout=30) as connection:
                send_all(connection, garbage)
                with contextlib.suppress(OSError):  # closed already
                    connection.shutdown(socket.SHUT_WR)
                read_all(connection)
