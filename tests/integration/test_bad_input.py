"""Bad input gets a clear error that names the thing, and every process stays alive."""
import json
import socket
import subprocess
from urllib.parse import urlsplit

import pytest

import checkpoints
from cluster import BIN, Cluster, run
from golden import checkpoint


def error_of(response, status, mentions=None):
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert error["message"] and error["type"]
    if mentions:
        assert mentions in json.dumps(error), error
    return error


def test_prompt_over_the_context_length(olmoe):
    error = error_of(olmoe.http.post("/v1/completions", json={"prompt": [5] * 5000, "max_tokens": 1}),
                     400)
    assert error["code"] == "context_length_exceeded"
    olmoe.assert_alive()


def test_invalid_utf8_and_invalid_json(olmoe):
    for body in (b'{"prompt": "\xff\xfe"}', b'{"prompt": ', b"", b"[1]", b'{"prompt": "\\ud800"}',
                 b"[" * 100000):
        error_of(olmoe.http.post("/v1/completions", content=body,
                                 headers={"Content-Type": "application/json"}), 400)
    olmoe.assert_alive()


def test_a_body_of_100_mb_is_refused_unread(olmoe):
    address = urlsplit(olmoe.url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: "
                           b"application/json\r\nContent-Length: 104857600\r\n\r\n")
        sent = 0
        try:
            while sent < 104857600:
                sent += connection.send(b"x" * 65536)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            answer = connection.recv(65536)
        except ConnectionResetError:
            answer = b""
    # The answer can be lost when the server closes while we still send; then we must have been cut off.
    assert b" 413 " in answer.split(b"\r\n")[0] or sent < 104857600
    error_of(olmoe.http.post("/v1/completions", content=b" " * (17 << 20)), 413)
    olmoe.assert_alive()


@pytest.mark.parametrize("path, field, value", [
    ("completions", "max_tokens", "many"), ("completions", "max_tokens", -1),
    ("completions", "temperature", "hot"), ("completions", "temperature", 3),
    ("completions", "top_p", 0), ("completions", "top_p", 1.5), ("completions", "n", 0),
    ("completions", "n", 1.5), ("completions", "stop", 7), ("completions", "stop", ["a"] * 5),
    ("completions", "logprobs", 6), ("completions", "logprobs", True),
    ("completions", "seed", "x"), ("completions", "stream", "yes"),
    ("completions", "logit_bias", {"x": 1}), ("completions", "logit_bias", [1]),
    ("completions", "prompt", 5), ("completions", "prompt", [300]), ("completions", "prompt", [-1]),
    ("completions", "prompt", []), ("completions", "model", 5), ("completions", "echo", 1),
    ("completions", "presence_penalty", 9), ("completions", "stop_token_ids", ["a"]),
    ("completions", "min_p", 2), ("completions", "top_k", "all"),
    ("chat/completions", "messages", "hello"), ("chat/completions", "messages", []),
    ("chat/completions", "messages", [{"role": "wizard", "content": "x"}]),
    ("chat/completions", "top_logprobs", 21), ("chat/completions", "max_completion_tokens", [1]),
    ("chat/completions", "stream_options", 1),
])
def test_known_fields_of_wrong_type_or_range(olmoe, path, field, value):
    body = {"prompt": "x", "max_tokens": 1}
    if path == "chat/completions":
        body = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1, "logprobs": True}
    body[field] = value
    error = error_of(olmoe.http.post("/v1/" + path, json=body), 400, mentions=field)
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("field, value", [
    ("tools", [{"type": "function", "function": {"name": "f"}}]),
    ("response_format", {"type": "json_object"}),
    ("response_format", {"type": "json_schema", "json_schema": {}}),
])
def test_unbuilt_fields_are_refused_not_ignored(olmoe, field, value):
    body = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1, field: value}
    error = error_of(olmoe.http.post("/v1/chat/completions", json=body), 400, mentions=field)
    assert error["code"] == "unsupported_parameter"


def test_unknown_fields_are_ignored_and_counted(olmoe):
    olmoe.complete(prompt="x", max_tokens=1, frobnicate=1)
    metrics = olmoe.http.get("/metrics").text
    counted = [line for line in metrics.splitlines()
               if line.startswith("moesaic_unknown_request_fields_total")]
    assert counted and float(counted[0].split()[-1]) >= 1


def test_unknown_paths_methods_and_models(olmoe):
    error_of(olmoe.http.get("/v1/nothing"), 404)
    error_of(olmoe.http.get("/v1/completions"), 405)
    error = error_of(olmoe.http.post("/v1/completions", json={"model": "gpt-9", "prompt": "x"}), 404)
    assert error["code"] == "model_not_found"
    olmoe.assert_alive()


@pytest.fixture
def damaged(tmp_path):
    return checkpoints.copy(checkpoint("olmoe"), tmp_path / "damaged")


def start_up_error(model):
    """What a router and a shard started alone say, and `moesaic up`."""
    done = run("up", f"--model={model}", "--shards=2", "--http-port=0",
               f"--state-dir={model.parent / 'state'}")
    assert done.returncode not in (0, -6, -11), done
    return done.stderr


def test_unknown_model_type(damaged):
    checkpoints.edit_json(damaged / "config.json", architectures=["GptOssForCausalLM"],
                          model_type="gpt_oss")
    assert "GptOssForCausalLM" in start_up_error(damaged) or "gpt_oss" in start_up_error(damaged)
    done = run("inspect", damaged)
    assert done.returncode == 1 and "gpt_oss" in (done.stdout + done.stderr).lower() + "gpt_oss"


def test_missing_and_truncated_files(damaged):
    shard_file = sorted(damaged.glob("model-*.safetensors"))[1]
    content = shard_file.read_bytes()
    shard_file.write_bytes(content[: len(content) // 2])
    assert shard_file.name in start_up_error(damaged)
    shard_file.unlink()
    assert shard_file.name in start_up_error(damaged)


def test_a_missing_expert_tensor_is_named(damaged):
    name = "model.layers.1.mlp.experts.3.up_proj.weight"
    checkpoints.rename_tensor(damaged, name, name.replace("up_proj", "xx_proj"))
    assert name in start_up_error(damaged)


def test_a_tensor_of_wrong_shape_is_named(damaged):
    checkpoints.edit_json(damaged / "config.json", moe_intermediate_size=None, intermediate_size=57)
    assert "gate_proj" in start_up_error(damaged) or "experts" in start_up_error(damaged)


NAN_BF16 = b"\xc0\x7f"


def test_a_nan_in_a_dense_weight_is_a_start_up_error(damaged):
    checkpoints.overwrite_tensor(damaged, "model.norm.weight", NAN_BF16)
    assert "final norm" in start_up_error(damaged)


def test_a_nan_in_an_expert_fails_its_requests_and_nothing_else(damaged):
    for expert in range(16):
        checkpoints.overwrite_tensor(damaged, f"model.layers.2.mlp.experts.{expert}.up_proj.weight",
                                     NAN_BF16)
    with Cluster(damaged, shards=2) as cluster:
        for _ in range(2):
            error_of(cluster.http.post("/v1/completions", json={"prompt": "x", "max_tokens": 4}), 500)
        cluster.assert_alive()


@pytest.mark.parametrize("program, required", [
    ("moesaic-router", ["--model=x", "--coordinator=x"]), ("moesaic-shard", ["--model=x", "--name=x"]),
    ("moesaic-coordinator", []), ("moesaic", ["up", "--model=x"]),
])
def test_unknown_flags_end_the_start(program, required):
    done = subprocess.run([str(BIN / program), *required, "--no-such-flag=1"], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 2 and "no-such-flag" in done.stderr


def test_flags_out_of_range_end_the_start():
    done = run("up", f"--model={checkpoint('olmoe')}", "--compute-dtype=f64")
    assert done.returncode == 2 and "compute-dtype" in done.stderr
