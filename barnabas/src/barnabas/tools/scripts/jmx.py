"""Show the metrics of a broker under the names of Kafka's MBeans: `kafka-jmx`, whose class is JmxTool.

There is no Java, so no JMX: `--jmx-url` names the page that `barnabas serve --metrics PORT` serves, and its figures are
shown under the object names and attributes that Kafka has for them. A service:jmx URL is refused. Requests: HTTP GET
alone. Differences: --jmx-auth-prop and --jmx-ssl-enable are taken and say nothing; of MBeans there are those whose
figures the page has.
"""

from __future__ import annotations

import re
import sys
import time
import urllib.error
import urllib.request

from barnabas.tools.errors import ToolError
from barnabas.tools.object_names import ObjectName
from barnabas.tools.options import JSON, Option, Parsed
from barnabas.tools.simple_date import SimpleDate

SUMMARY = "Dump JMX values to standard output."
_URL = "http://localhost:9404/metrics"
_SECONDS = 10.0
OPTIONS = (
    Option("object-name", "An object, with * and ? as one likes; may be given several times. Without it: all.", "name"),
    Option("attributes", "The attributes to show, separated by commas.", "name"),
    Option("date-format", "How the time is written: yyyy-MM-dd HH:mm:ss.SSS, say.", "format"),
    Option("one-time", "Show the values once.", "one-time", optional=True),
    Option("reporting-interval", "Milliseconds from one row to the next; -1 means once.", "ms", "int", 2000),
    Option("report-format", "original, properties, csv or tsv.", "report-format", default="original",
           completes="original properties csv tsv"),
    Option("jmx-url", "The broker's metrics page.", "url", default=_URL),
    Option("jmx-auth-prop", "Taken and ignored.", "user=password"),
    Option("jmx-ssl-enable", "Taken and ignored.", "ssl-enable", default="false"),
    Option("wait", "Wait for the objects, ten seconds at most."),
    JSON,
)
EXAMPLE = """
kafka-jmx --jmx-url http://localhost:9404/metrics --object-name kafka.server:type=ReplicaManager,name=* --one-time true
"""
WORKS_WITHOUT_ARGUMENTS = True

#: the family on the page: the MBean, its attribute; labels fill the braces
_BEANS = {
    "kafka_network_requestmetrics_requests_total":
        ("kafka.network:type=RequestMetrics,name=RequestsPerSec,request={request}", "Count"),
    "kafka_network_requestmetrics_totaltimems_sum":
        ("kafka.network:type=RequestMetrics,name=TotalTimeMs,request={request}", "Sum"),
    "kafka_network_requestmetrics_totaltimems_max":
        ("kafka.network:type=RequestMetrics,name=TotalTimeMs,request={request}", "Max"),
    "kafka_server_brokertopicmetrics_messagesin_total":
        ("kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec,topic={topic}", "Count"),
    "kafka_server_brokertopicmetrics_bytesin_total":
        ("kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec,topic={topic}", "Count"),
    "kafka_server_brokertopicmetrics_bytesout_total":
        ("kafka.server:type=BrokerTopicMetrics,name=BytesOutPerSec,topic={topic}", "Count"),
    "kafka_log_log_size": ("kafka.log:type=Log,name=Size,topic={topic},partition={partition}", "Value"),
    "kafka_log_log_logstartoffset":
        ("kafka.log:type=Log,name=LogStartOffset,topic={topic},partition={partition}", "Value"),
    "kafka_log_log_logendoffset":
        ("kafka.log:type=Log,name=LogEndOffset,topic={topic},partition={partition}", "Value"),
    "kafka_log_log_numlogsegments":
        ("kafka.log:type=Log,name=NumLogSegments,topic={topic},partition={partition}", "Value"),
    "kafka_server_replicamanager_partitioncount": ("kafka.server:type=ReplicaManager,name=PartitionCount", "Value"),
    "kafka_controller_kafkacontroller_globaltopiccount":
        ("kafka.controller:type=KafkaController,name=GlobalTopicCount", "Value"),
    "kafka_coordinator_group_groupmetadatamanager_numgroups":
        ("kafka.coordinator.group:type=GroupMetadataManager,name=NumGroups{state}", "Value"),
    "kafka_server_socketservermetrics_connection_count":
        ("kafka.server:type=socket-server-metrics", "connection-count"),
}
#: families whose sum over all topics is an MBean too
_TOTALS = re.compile(r",topic=[^,]*$")
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Beans = dict[str, dict[str, int | float]]


def run(options: Parsed) -> int:
    """Show the values once, or again and again until it is interrupted."""
    url = str(options.value("jmx-url"))
    if url.startswith("service:"):
        raise ToolError(
            f"{url} is an address of Java's JMX, which a broker without Java does not have. Start it with "
            f"`barnabas serve --metrics 9404` and name its page: --jmx-url {_URL}"
        )
    if not re.match(r"https?://[^/]+", url):
        raise ToolError(f"{url} is no address of a metrics page, such as {_URL}")
    form = str(options.value("report-format")).lower()
    if form not in ("original", "properties", "csv", "tsv"):
        form = "original"  # as Java's tool takes what it does not know
    interval: int = options.value("reporting-interval")
    asked: str | None = options.value("attributes")
    chosen = None if asked is None else [name for name in asked.split(",") if name]
    date_format: str | None = options.value("date-format")
    dates = None if date_format is None else SimpleDate(date_format)
    once = interval < 0 or options.has("one-time")
    print(f"Trying to connect to JMX url: {url}", file=sys.stderr, flush=True)
    page = _read(url)
    names = [ObjectName(name) for name in options.values("object-name")]
    found = _wait(url, page, names, wait=options.has("wait"))
    if not found:
        raise ToolError(f"No matched attributes for the queried objects [{_listed(names) or 'null'}].")
    keys = sorted(_flat(found, chosen))
    expected = len(keys) if chosen is None else len(chosen) * len(found)
    as_json = options.has("json")
    # as Java's tool does it: where an attribute or an object is missing, there is neither head nor row
    if form == "original" and not as_json and len(keys) == expected:
        print(",".join(f'"{key}"' for key in ("time", *keys)))
    while True:
        began = time.monotonic()
        values = _flat(found, chosen)
        if len(values) == expected:
            now = time.time() * 1000
            row = {key: values.get(key, "null") for key in keys}
            _show(form, str(int(now)) if dates is None else dates.write(now), row, json=as_json)
        sys.stdout.flush()
        if once:
            return 0
        time.sleep(max(0.0, interval / 1000 - (time.monotonic() - began)))
        found = _matching(_read(url), names)


def _listed(names: list[ObjectName]) -> str:
    return ", ".join(name.text for name in names)


def _wait(url: str, page: Beans, names: list[ObjectName], *, wait: bool) -> Beans:
    """Return the objects on a page; with `wait`, read it until all that were named are there. Raises `ToolError`."""
    end = time.monotonic() + _SECONDS
    while True:
        found = _matching(page, names)
        missing = [name for name in names if not any(map(name.fits, found))]
        if not wait or not missing or any(name.is_pattern for name in names):
            return found
        if time.monotonic() > end:
            raise ToolError(
                f"Could not find all requested object names after {int(_SECONDS * 1000)} ms. Missing "
                f"{','.join(name.text for name in missing)}"
            )
        time.sleep(0.1)
        page = _read(url)


def _read(url: str) -> Beans:
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
            page = answer.read().decode("utf-8", "replace")
    except (OSError, urllib.error.URLError, ValueError) as e:
        raise ToolError(f"Could not connect to JMX url: {url}. Exception: {getattr(e, 'reason', e)}.") from e
    return beans(page)


def beans(page: str) -> Beans:
    """Return what a page says, by MBean and attribute; what Kafka has no MBean for is left out."""
    found: Beans = {}
    for line in page.splitlines():
        match = _SAMPLE.match(line)
        if match is None or match[1] not in _BEANS:
            continue
        labels = {name: re.sub(r"\\(.)", r"\1", value) for name, value in _LABEL.findall(match[2] or "")}
        pattern, attribute = _BEANS[match[1]]
        try:
            name, number = pattern.format(**labels), float(match[3])
        except (KeyError, ValueError):
            continue
        value = int(number) if number.is_integer() and attribute not in ("Sum", "Max") else number
        found.setdefault(name, {})[attribute] = value
        if "type=BrokerTopicMetrics" in name:
            total = found.setdefault(_TOTALS.sub("", name), {})
            total[attribute] = total.get(attribute, 0) + value
    for attributes in found.values():
        if "Sum" in attributes:  # Kafka's histogram has no sum, but the mean
            attributes["Mean"] = attributes.pop("Sum")
    for name, attributes in found.items():
        if "Mean" in attributes:
            requests = found.get(name.replace("name=TotalTimeMs", "name=RequestsPerSec"), {}).get("Count", 0)
            attributes["Count"] = requests
            attributes["Mean"] = attributes["Mean"] / requests if requests else 0.0
    return found


def _matching(found: Beans, names: list[ObjectName]) -> Beans:
    if not names:
        return found
    return {bean: values for bean, values in found.items() if any(name.fits(bean) for name in names)}


def _flat(found: Beans, chosen: list[str] | None) -> dict[str, int | float | str]:
    return {
        f"{bean}:{attribute}": value
        for bean, values in found.items()
        for attribute, value in values.items()
        if chosen is None or attribute in chosen
    }


def _show(form: str, now: str, values: dict[str, int | float | str], *, json: bool) -> None:
    if json:
        import json as writer

        print(writer.dumps({"time": now, **values}))
        return
    row: dict[str, int | float | str] = {"time": now, **values}
    if form == "original":
        print(",".join(str(value) for value in row.values()))
        return
    shape = {"properties": "{}={}", "csv": '{},"{}"', "tsv": "{}\t{}"}[form]
    for key, value in row.items():
        print(shape.format(key, value))
