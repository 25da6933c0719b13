#!/usr/bin/env bash
# Trains the demo model from nothing and writes it to a directory; about an hour on 2 cores.
#   models/demo/train/retrain.sh WORK_DIR [MODEL_DIR]     (MODEL_DIR: models/demo)
# Interrupted, the same command goes on from the last checkpoint, at most 5 minutes back. The packages of
# requirements.txt go into WORK_DIR/venv. Needs the release build for the evaluation.
set -euo pipefail
work=$(realpath -m "${1:?usage: retrain.sh WORK_DIR [MODEL_DIR]}")
recipe=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$recipe/../../.." && pwd)
model=$(realpath -m "${2:-$root/models/demo}")
mkdir -p "$work"

if ! "$work/venv/bin/python" -c 'import torch, transformers' 2>/dev/null; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet -r "$recipe/requirements.txt"
fi
python=$work/venv/bin/python
cd "$recipe"
"$python" train.py "$work/run"
"$python" export.py "$work/run" "$model"
"$python" check_equality.py "$model"
"$python" loss_curve.py "$work/run/train_log.jsonl" "$model/loss_curve.svg"
"$python" evaluate.py --shards 3 --bin "$root/build/release/bin" --model "$model" --report "$work/evaluation.json"
