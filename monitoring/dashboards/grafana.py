"""Building blocks of the dashboards: panels and boards as Grafana 7.4 and later read them.

Only panel types that are in every such version: row, timeseries, stat, gauge, bargauge, table, heatmap.
Queries are written without the cluster; `scoped` adds it to every series of ours.
"""
import re

OURS = re.compile(r"\b((?:cluster:)?moesaic_\w+(?::\w+)?)(\{)?")
RED, AMBER, GREEN, BLUE = "#d44a3a", "#e5a84b", "#4d9f5d", "#4a7ebb"
MONEY = "currencyUSD"


def scoped(expression):
    """The query with {cluster="$cluster"} on each series of ours, and no line breaks."""
    added = OURS.sub(lambda match: match[1] + '{cluster="$cluster"' + (", " if match[2] else "}"), expression)
    return " ".join(added.split())


def rate(selector):
    return f"rate({selector}[$__rate_interval])"


def quantile(share, histogram, by=""):
    """A quantile of a histogram, named without its _bucket, by further labels."""
    name, brace, rest = histogram.partition("{")
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) ({rate(name + '_bucket' + brace + rest)}))"


def quantiles(histogram):
    return [(quantile(share, histogram), f"p{share * 100:g}") for share in (0.5, 0.95, 0.99)]


def mean(histogram, by=""):
    clause = f"by ({by}) " if by else ""
    return f"sum {clause}({rate(histogram + '_sum')}) / (sum {clause}({rate(histogram + '_count')}) > 0)"


def _panel(kind, title, text, queries, unit, width, height, see, **more):
    if isinstance(queries, str):
        queries = [(queries, "")]
    targets = [{"refId": chr(ord("A") + index), "expr": scoped(query), "legendFormat": legend}
               for index, (query, legend) in enumerate(queries)]
    panel = {"type": kind, "title": title, "description": text, "datasource": "$datasource",
             "gridPos": {"w": width, "h": height}, "targets": targets,
             "links": [{"title": "What it means and what to do", "url": f"${{docs}}/{see}", "targetBlank": True}],
             "fieldConfig": {"defaults": {"unit": unit}, "overrides": []}}
    panel.update(more)
    return panel


def _thresholds(steps, base=GREEN):
    """steps: [(from, colour)] above the base colour."""
    return {"mode": "absolute", "steps": [{"color": base, "value": None}]
            + [{"color": colour, "value": value} for value, colour in steps]}


def timeseries(title, text, queries, unit="short", width=8, height=8, see="operations.md", stacked=False,
               limit=None, top=None):
    """Lines over time. `limit`: a line that should not be crossed. `top`: upper end of the axis."""
    panel = _panel("timeseries", title, text, queries, unit, width, height, see,
                   options={"legend": {"displayMode": "list", "placement": "bottom", "calcs": []},
                            "tooltip": {"mode": "multi"}})
    defaults = panel["fieldConfig"]["defaults"]
    defaults["min"] = 0
    if top is not None:
        defaults["max"] = top
    defaults["custom"] = {"lineWidth": 1, "fillOpacity": 40 if stacked else 8, "showPoints": "never",
                          "spanNulls": False,
                          "stacking": {"mode": "normal" if stacked else "none", "group": "A"}}
    if limit is not None:
        defaults["thresholds"] = _thresholds([(limit, RED)])
        defaults["custom"]["thresholdsStyle"] = {"mode": "line"}
    return panel


def stat(title, text, query, unit="short", steps=(), base=GREEN, width=4, see="operations.md", decimals=None):
    """One figure, now, over a line of its recent past; coloured when there are steps."""
    panel = _panel("stat", title, text, query, unit, width, 4, see,
                   options={"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                            "colorMode": "value", "graphMode": "area", "textMode": "auto",
                            "orientation": "auto", "justifyMode": "auto"})
    defaults = panel["fieldConfig"]["defaults"]
    defaults["thresholds"] = _thresholds(steps, base if steps else BLUE)
    if decimals is not None:
        defaults["decimals"] = decimals
    return panel


def gauge(title, text, queries, steps, width=4, height=8, see="operations.md"):
    """Shares of a limit, 0 to 1."""
    panel = _panel("gauge", title, text, queries, "percentunit", width, height, see,
                   options={"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                            "showThresholdLabels": False, "showThresholdMarkers": True})
    panel["fieldConfig"]["defaults"].update(min=0, max=1, thresholds=_thresholds(steps))
    return panel


def bargauge(title, text, queries, unit="short", width=8, height=8, see="operations.md"):
    """Bars to compare by eye, now."""
    panel = _panel("bargauge", title, text, queries, unit, width, height, see,
                   options={"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
                            "orientation": "horizontal", "displayMode": "basic", "showUnfilled": True})
    panel["fieldConfig"]["defaults"].update(min=0, thresholds=_thresholds((), BLUE))
    return panel


def table(title, text, columns, key, width=24, height=8, see="operations.md"):
    """columns: [(query, heading, unit)], joined by the label `key`: one row for each of its values."""
    panel = _panel("table", title, text, [(query, "") for query, _, _ in columns], "short", width, height, see,
                   options={"showHeader": True})
    letters = [target["refId"] for target in panel["targets"]]
    for target in panel["targets"]:
        target.update(format="table", instant=True)
    keep = {"Time": True, "__name__": True}
    panel["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {
            "excludeByName": keep,
            "indexByName": {key: 0, **{f"Value #{letter}": 1 + at for at, letter in enumerate(letters)}},
            "renameByName": {f"Value #{letter}" if len(letters) > 1 else "Value": heading
                             for letter, (_, heading, _) in zip(letters, columns)}}}]
    panel["fieldConfig"]["overrides"] = [
        {"matcher": {"id": "byName", "options": heading}, "properties": [{"id": "unit", "value": unit}]}
        for _, heading, unit in columns]
    return panel


def heatmap(title, text, histogram, unit="s", width=12, height=8, see="operations.md"):
    """A histogram over time. In the form of Grafana 7 and 8; later versions read it and convert it."""
    panel = _panel("heatmap", title, text, [(f"sum by (le) ({rate(histogram + '_bucket')})", "{{le}}")],
                   unit, width, height, see, dataFormat="tsbuckets", hideZeroBuckets=True, highlightCards=True,
                   yBucketBound="upper", xAxis={"show": True}, yAxis={"show": True, "format": unit, "logBase": 1},
                   color={"mode": "spectrum", "colorScheme": "interpolateOranges", "exponent": 0.5,
                          "cardColor": "#b4ff00", "colorScale": "sqrt"},
                   legend={"show": False}, tooltip={"show": True, "showHistogram": False})
    panel["targets"][0]["format"] = "heatmap"
    return panel


def _annotation(name, colour, query, title):
    return {"name": name, "datasource": "$datasource", "enable": True, "iconColor": colour,
            "expr": scoped(query), "step": "15s", "titleFormat": title, "textFormat": "", "useValueForTime": False}


def _query_variable(name, label, query, multi):
    return {"name": name, "label": label, "type": "query", "datasource": "$datasource", "query": scoped(query),
            "definition": scoped(query), "refresh": 2, "sort": 1, "multi": multi, "includeAll": multi,
            "allValue": ".*" if multi else None, "hide": 0, "regex": "", "skipUrlSync": False,
            "current": {"selected": multi, "text": "All", "value": "$__all"} if multi else {}}


def board(uid, title, text, rows, shards=False):
    """A dashboard of rows [(heading, [panel])]; panels flow from left to right over 24 columns."""
    panels, top = [], 0

    def add(panel, x, y, **more):
        panels.append({"id": len(panels) + 1, **panel, "gridPos": {**panel.get("gridPos", {}), "x": x, "y": y}, **more})

    for heading, members in rows:
        add({"type": "row", "title": heading, "collapsed": False, "panels": [], "gridPos": {"w": 24, "h": 1}}, 0, top)
        top, left, height = top + 1, 0, 0
        for panel in members:
            if left + panel["gridPos"]["w"] > 24:
                top, left, height = top + height, 0, 0
            add(panel, left, top)
            left += panel["gridPos"]["w"]
            height = max(height, panel["gridPos"]["h"])
        top += height
    variables = [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1,
         "hide": 0, "multi": False, "includeAll": False, "regex": "", "skipUrlSync": False, "current": {}},
        # Bare: the one series that must not be limited to the cluster it asks for.
        {**_query_variable("cluster", "Cluster", "", False),
         "query": "label_values(moesaic_build_info, cluster)",
         "definition": "label_values(moesaic_build_info, cluster)"}]
    if shards:
        variables.append(_query_variable("shard", "Shard", "label_values(moesaic_shard_held_units, name)", True))
    variables.append({"name": "docs", "label": "Address of docs/", "type": "textbox", "query": "docs", "hide": 0,
                      "skipUrlSync": False, "current": {"text": "docs", "value": "docs"},
                      "options": [{"selected": True, "text": "docs", "value": "docs"}]})
    return {
        "uid": uid, "title": f"Moesaic / {title}", "description": text, "tags": ["moesaic"], "editable": True,
        "schemaVersion": 27, "version": 1, "style": "dark", "timezone": "", "refresh": "10s", "graphTooltip": 1,
        "time": {"from": "now-1h", "to": "now"}, "timepicker": {},
        "links": [{"type": "dashboards", "title": "Moesaic", "tags": ["moesaic"], "asDropdown": True,
                   "includeVars": True, "keepTime": True, "targetBlank": False, "icon": "external link"}],
        "annotations": {"list": [
            _annotation("Rebalances", BLUE, "sum by (reason) (changes(moesaic_rebalances_total[1m])) > 0",
                        "new placement ({{reason}})"),
            _annotation("Shards lost", RED, "changes(moesaic_shards_lost_total[1m]) > 0", "a shard was lost")]},
        "templating": {"list": variables}, "panels": panels}
