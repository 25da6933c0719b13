"""What tests ask of the Prometheus that a cluster runs."""
import contextlib
import http.server
import json
import math
import threading

import httpx


class Prometheus:
    """The HTTP API of the Prometheus of `moesaic up`."""

    def __init__(self, cluster):
        self.http = httpx.Client(timeout=60)
        self.base = f"{cluster.state()['prometheus']}/api/v1"

    def get(self, path, **parameters):
        body = self.http.get(f"{self.base}/{path}", params=parameters).json()
        assert body["status"] == "success", f"{parameters.get('query')}: {body.get('error')}"
        return body["data"]

    def value(self, query):
        """The sum of an instant query's samples; None when there is none."""
        samples = self.get("query", query=query)["result"]
        return sum(float(sample["value"][1]) for sample in samples) if samples else None

    def series(self, query, start, end, step):
        """How many series of the query had a number at some moment."""
        result = self.get("query_range", query=query, start=start, end=end, step=step)["result"]
        return sum(any(not math.isnan(float(value)) for _, value in series["values"]) for series in result)

    def firing(self):
        """Alerts that fire, by name."""
        return {alert["labels"]["alertname"]: alert for alert in self.get("alerts")["alerts"]
                if alert["state"] == "firing"}


@contextlib.contextmanager
def exposition(cluster, text, **labels):
    """Has the cluster's Prometheus scrape a text besides. `text` is called at each scrape."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = text().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    target = [{"targets": [f"127.0.0.1:{server.server_port}"], "labels": {"job": "moesaic", "cluster": "local", **labels}}]
    # Written beside and moved there: Prometheus must not read half a file.
    path = cluster.state_dir / "prometheus" / "more_targets" / "test.json"
    path.with_suffix(".new").write_text(json.dumps(target), encoding="utf-8")
    path.with_suffix(".new").rename(path)
    try:
        yield
    finally:
        path.unlink()
        server.shutdown()
        thread.join()
        server.server_close()
