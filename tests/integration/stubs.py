"""The protos as Python modules, generated for the run of the tests."""
import importlib
import pathlib
import sys
import tempfile

from grpc_tools import protoc

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = ("common", "expert_shard", "coordinator", "inference")

_generated = tempfile.TemporaryDirectory(prefix="moesaic-protos-")
if protoc.main(["protoc", f"-I{ROOT}", f"--python_out={_generated.name}",
                f"--grpc_python_out={_generated.name}",
                *(f"proto/moesaic/v1/{name}.proto" for name in NAMES)]) != 0:
    raise RuntimeError("protoc failed")
sys.path.insert(0, _generated.name)

common = importlib.import_module("proto.moesaic.v1.common_pb2")
shard = importlib.import_module("proto.moesaic.v1.expert_shard_pb2")
shard_grpc = importlib.import_module("proto.moesaic.v1.expert_shard_pb2_grpc")
inference = importlib.import_module("proto.moesaic.v1.inference_pb2")
inference_grpc = importlib.import_module("proto.moesaic.v1.inference_pb2_grpc")
