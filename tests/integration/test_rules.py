"""Prometheus' rules: promtool accepts them, every alert is tested firing and silent, and rules, dashboards
and runbooks name only what exists."""
import functools
import json
import pathlib
import re
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
MONITORING = ROOT / "monitoring"
RULES = sorted((MONITORING / "rules").glob("*.yml"))
RULE_TESTS = sorted((MONITORING / "rules" / "tests").glob("*.yml"))
HISTOGRAM_SUFFIX = re.compile(r"_(bucket|count|sum)$")


@functools.cache
def rules():
    return [rule for path in RULES for group in yaml.safe_load(path.read_text("utf-8"))["groups"]
            for rule in group["rules"]]


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@functools.cache
def catalogue():
    """Kind by name, of every metric that a process may export."""
    found = {}
    for path in (MONITORING / "catalogue").glob("*.h"):
        for kind, name in re.findall(r'(Counter|Gauge|Histogram)Def k\w+\{\s*\{\s*"(moesaic_\w+)"',
                                     path.read_text("utf-8")):
            found[name] = kind
    return found


def unknown_metrics(expression):
    """Names in a query that are neither in the catalogue nor recorded by a rule."""
    known = catalogue()
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for name in re.findall(r"[a-zA-Z_:][\w:]*moesaic[\w:]*|moesaic_\w+", re.sub(r'"[^"]*"', '""', expression)):
        base = HISTOGRAM_SUFFIX.sub("", name)
        is_series = known.get(name) in ("Counter", "Gauge") or (base != name and known.get(base) == "Histogram")
        if not is_series and name not in recorded:
            yield name


def dashboard_expressions():
    def walk(node):
        if isinstance(node, dict):
            for key, value in node.items():
                if key in ("expr", "query", "definition") and isinstance(value, str):
                    yield value
                else:
                    yield from walk(value)
        elif isinstance(node, list):
            for value in node:
                yield from walk(value)

    for path in sorted((MONITORING / "dashboards").glob("*.json")):
        for expression in walk(json.loads(path.read_text("utf-8"))):
            yield path.name, expression


def test_promtool_accepts_the_rules():
    promtool("check", "rules", *RULES)


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_promtool_passes_the_tests(path):
    promtool("test", "rules", path)


def test_every_alert_is_tested_firing_and_silent():
    firing, silent = set(), set()
    for path in RULE_TESTS:
        for test in yaml.safe_load(path.read_text("utf-8"))["tests"]:
            for case in test["alert_rule_test"]:
                severities = {alert["exp_labels"]["severity"] for alert in case["exp_alerts"]}
                firing |= {(case["alertname"], severity) for severity in severities}
                if not severities:
                    silent.add(case["alertname"])
    alerts = {(rule["alert"], rule["labels"]["severity"]) for rule in rules() if "alert" in rule}
    assert firing == alerts
    assert silent == {name for name, _ in alerts}


def test_every_alert_has_words_and_a_runbook():
    runbook = (ROOT / "docs" / "alerts.md").read_text("utf-8")
    anchors = {heading.strip().lower() for heading in re.findall(r"^## (\w+)$", runbook, re.MULTILINE)}
    alerts = [rule for rule in rules() if "alert" in rule]
    for rule in alerts:
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), rule["alert"]
        assert rule["annotations"]["summary"] and rule["annotations"]["description"], rule["alert"]
        assert rule["annotations"]["runbook_url"] == f"docs/alerts.md#{rule['alert'].lower()}"
    assert anchors == {rule["alert"].lower() for rule in alerts}


def test_the_catalogue_is_read():
    assert catalogue()["moesaic_requests_total"] == "Counter" and len(catalogue()) > 100
    assert list(unknown_metrics("rate(moesaic_nonsense_total[5m])")) == ["moesaic_nonsense_total"]
    assert list(unknown_metrics("moesaic_ready_shards_bucket")) == ["moesaic_ready_shards_bucket"]
    assert not list(unknown_metrics('moesaic_queue_wait_seconds_bucket{le="1"} + moesaic_ready_shards'))


def test_rules_name_metrics_that_exist():
    assert not [(rule.get("alert", rule.get("record")), name) for rule in rules()
                for name in unknown_metrics(rule["expr"])]


def test_the_dashboards_are_what_the_generator_makes():
    done = subprocess.run([sys.executable, MONITORING / "dashboards" / "generate.py", "--check"], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr


def test_dashboards_are_of_parts_that_any_grafana_has():
    boards = [json.loads(path.read_text("utf-8")) for path in sorted((MONITORING / "dashboards").glob("*.json"))]
    assert len(boards) == 7 and len({board["uid"] for board in boards}) == 7
    for board in boards:
        names = [(panel["title"], panel["type"]) for panel in board["panels"]]
        assert len(set(names)) == len(names), board["title"]
        for panel in board["panels"]:
            assert panel["type"] in ("row", "timeseries", "stat", "gauge", "bargauge", "table", "heatmap")
            assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
            if panel["type"] != "row":
                assert panel["description"] and panel["links"] and panel["datasource"] == "$datasource", panel["title"]
        taken = [(x, y) for panel in board["panels"] for at in [panel["gridPos"]]
                 for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
        assert len(set(taken)) == len(taken), f"{board['title']}: panels overlap"


def test_dashboards_lead_to_runbooks_that_exist():
    anchors = {rule["alert"].lower() for rule in rules() if "alert" in rule}
    for path in (MONITORING / "dashboards").glob("*.json"):
        for target in re.findall(r"\$\{docs\}/([^\"]+)", path.read_text("utf-8")):
            page, _, anchor = target.partition("#")
            assert page in ("alerts.md", "operations.md"), target
            assert page != "alerts.md" or not anchor or anchor in anchors, target


def test_dashboards_name_metrics_that_exist():
    assert not [(dashboard, name) for dashboard, expression in dashboard_expressions()
                for name in unknown_metrics(expression)]


def pod(address, phase="Running", **labels):
    """What Kubernetes' discovery says of a port of a pod."""
    meta = {"pod_ip": address, "pod_phase": phase, "pod_name": "shard-0", "namespace": "moe",
            "pod_node_name": "n1", "pod_container_init": "false",
            "pod_annotation_prometheus_io_port": "9090",
            "pod_label_app_kubernetes_io_name": "moesaic", "pod_label_app_kubernetes_io_component": "shard",
            "pod_label_app_kubernetes_io_instance": "olmoe", **labels}
    return {"targets": [f"{address}:7000"],
            "labels": {f"__meta_kubernetes_{name}": value for name, value in meta.items()}}


def test_pods_become_targets(tmp_path):
    """The relabelling for Kubernetes. Debian's Prometheus has no Kubernetes discovery: a file takes its place
    and says what it would say."""
    config = yaml.safe_load((MONITORING / "prometheus" / "prometheus.yml").read_text("utf-8"))
    del config["alerting"]
    pods = [pod("10.0.0.1"), pod("fd00::1"), pod("10.0.0.3", phase="Pending"),
            pod("10.0.0.4", pod_container_init="true"),
            pod("10.0.0.5", pod_label_app_kubernetes_io_name="web")]
    (tmp_path / "pods.json").write_text(json.dumps(pods), encoding="utf-8")
    for scrape in config["scrape_configs"]:
        assert scrape.pop("kubernetes_sd_configs")
        scrape["file_sd_configs"] = [{"files": [str(tmp_path / "pods.json")]}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    promtool("check", "config", "--syntax-only", tmp_path / "prometheus.yml")
    found = json.loads(promtool("check", "service-discovery", "--timeout=3s",
                                tmp_path / "prometheus.yml", "moesaic"))
    # promtool lists them in no order of its own.
    targets = sorted((target["labels"] for target in found if target.get("labels")),
                     key=lambda labels: labels["__address__"])
    assert [target["__address__"] for target in targets] == ["10.0.0.1:9090", "[fd00::1]:9090"]
    kept = {name: value for name, value in targets[0].items() if not name.startswith("__")}
    assert kept == {"job": "moesaic", "cluster": "olmoe", "role": "shard", "name": "shard-0",
                    "namespace": "moe", "node": "n1", "instance": "10.0.0.1:9090"}
