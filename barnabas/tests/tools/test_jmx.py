"""The metrics page under the names of Kafka's MBeans."""

from __future__ import annotations

import pytest

from barnabas.tools.errors import ToolError
from barnabas.tools.main import run
from barnabas.tools.object_names import ObjectName
from barnabas.tools.scripts.jmx import beans

PAGE = """\
# HELP kafka_log_log_size Bytes of a partition.
kafka_log_log_size{topic="a",partition="0"} 120
kafka_server_brokertopicmetrics_messagesin_total{topic="a"} 3
kafka_server_brokertopicmetrics_messagesin_total{topic="b"} 4
kafka_network_requestmetrics_requests_total{request="Fetch"} 4
kafka_network_requestmetrics_totaltimems_sum{request="Fetch"} 2.0
kafka_network_requestmetrics_totaltimems_max{request="Fetch"} 1.5
kafka_consumergroup_lag{group="g",topic="a",partition="0"} 0
"""


def test_a_page_becomes_mbeans() -> None:
    assert beans(PAGE) == {
        "kafka.log:type=Log,name=Size,topic=a,partition=0": {"Value": 120},
        "kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec,topic=a": {"Count": 3},
        "kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec,topic=b": {"Count": 4},
        "kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec": {"Count": 7},
        "kafka.network:type=RequestMetrics,name=RequestsPerSec,request=Fetch": {"Count": 4},
        "kafka.network:type=RequestMetrics,name=TotalTimeMs,request=Fetch": {"Mean": 0.5, "Max": 1.5, "Count": 4},
    }


@pytest.mark.parametrize(("query", "expected"), [
    ("kafka.log:type=Log,name=Size,topic=a,partition=0", True),
    ("kafka.log:partition=0,topic=a,name=Size,type=Log", True),
    ("kafka.log:type=Log,name=Size,topic=a", False),
    ("kafka.log:type=Log,*", True),
    ("kafka.log:type=Log,name=Size,topic=?,partition=*", True),
    ("*:*", True),
    ("kafka.server:type=Log,*", False),
])
def test_object_names_choose(query: str, expected: bool) -> None:
    assert ObjectName(query).fits("kafka.log:type=Log,name=Size,topic=a,partition=0") is expected


@pytest.mark.parametrize(("name", "message"), [
    ("nonsense", "Key properties cannot be empty"),
    ("a=b", "Domain part must be specified"),
    ("a:type", "Unterminated key property part"),
    ("a:type=b,", "Invalid ending comma"),
    ("a:type=b,type=c", "key `type' already defined"),
    ("a:*,*", "Cannot have several '*' characters in pattern property list"),
])
def test_object_names_are_checked_as_java_does(name: str, message: str) -> None:
    with pytest.raises(ToolError, match="MalformedObjectNameException") as raised:
        ObjectName(name)
    assert str(raised.value).endswith(message)


@pytest.mark.parametrize(("words", "message"), [
    (["--jmx-url", "service:jmx:rmi:///jndi/rmi://:9999/jmxrmi"], "a broker without Java does not have"),
    (["--jmx-url", "file:///etc/passwd"], "is no address of a metrics page"),
    (["--jmx-url", "http://127.0.0.1:1/metrics"], "Could not connect to JMX url"),
])
def test_errors_are_said_in_a_line(words: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("kafka-jmx", [*words, "--one-time", "true"]) == 1
    error = capfd.readouterr().err
    assert message in error
    assert "Traceback" not in error
