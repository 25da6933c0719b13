#!/usr/bin/env python3
"""Writes the dashboards' JSON beside this file.

monitoring/dashboards/generate.py          writes them
monitoring/dashboards/generate.py --check  exits with 1 if what is there differs
"""
import json
import pathlib
import sys

import money_boards
import service_boards

HERE = pathlib.Path(__file__).resolve().parent
BOARDS = (service_boards.overview, service_boards.saturation, service_boards.experts, money_boards.capacity,
          money_boards.cost, money_boards.machines, service_boards.shard)


def main():
    stale = {path.name for path in HERE.glob("*.json")}
    for make in BOARDS:
        dashboard = make()
        path = HERE / f"{dashboard['uid'].removeprefix('moesaic-')}.json"
        text = json.dumps(dashboard, indent=1, ensure_ascii=False) + "\n"
        if path.is_file() and path.read_text("utf-8") == text:
            stale.discard(path.name)
        elif "--check" in sys.argv[1:]:
            stale.add(path.name)
        else:
            path.write_text(text, encoding="utf-8")
            stale.discard(path.name)
    for name in sorted(stale):
        print(f"{name}: not what the generator makes", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
