"""What is read from the cluster and from the machine before and after something is done to them."""
import os
import pathlib
import time
import urllib.request

from load import quantile

COUNTERS = ("moesaic_dispatches_total", "moesaic_hedges_total", "moesaic_hedge_wins_total",
            "moesaic_retried_units_total", "moesaic_shard_suspicions_total",
            "moesaic_abandoned_dispatches_total", "moesaic_retry_budget_refusals_total",
            "moesaic_throttled_units_total", "moesaic_generated_tokens_total")


def counters(address):
    """Sums over all labels of a router's counters."""
    sums = dict.fromkeys(COUNTERS, 0.0)
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            name = line.split("{")[0].split(" ")[0]
            if name in sums:
                sums[name] += float(line.rsplit(" ", 1)[1])
    return sums


def latencies(load):
    """What the clients of a Load saw."""
    return {"requests": load.requests,
            "gap_p50_ms": round(1e3 * quantile(load.gaps, 0.5), 2),
            "gap_p99_ms": round(1e3 * quantile(load.gaps, 0.99), 2),
            "gap_max_ms": round(1e3 * load.longest[0], 2),
            "gap_max_until": time.strftime("%H:%M:%S", time.gmtime(load.longest[1])),
            "first_token_p99_ms": round(1e3 * quantile(load.first_token_s, 0.99), 2)}


class MachineLoad:
    """How busy the whole machine has been since this was made."""

    def __init__(self):
        self._busy, self._total = self._times()

    @staticmethod
    def _times():
        """(busy, all) jiffies of all cores since the machine started."""
        fields = pathlib.Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
        times = [int(field) for field in fields]
        return sum(times) - times[3] - times[4], sum(times)  # 3 and 4: idle, waiting for a disk

    def report(self):
        busy, total = self._times()
        share = (busy - self._busy) / max(1, total - self._total)
        return {"cores": os.cpu_count(), "busy_percent": round(100 * share),
                "load_average_1_min": round(os.getloadavg()[0], 2)}


class TokenRate:
    """Tokens per second that a router generated since this was made."""

    def __init__(self, address):
        self._address = address
        self._tokens, self._since = self._read(), time.monotonic()

    def _read(self):
        return counters(self._address)["moesaic_generated_tokens_total"]

    def per_s(self):
        return round((self._read() - self._tokens) / (time.monotonic() - self._since), 1)
