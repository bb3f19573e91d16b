"""The pytest plugin, as a user's test suite sees it: run in a pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SUITE = """
import pytest
from confluent_kafka import Producer

def send(bootstrap, topic):
    done = []
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
    producer.produce(topic, b"x", on_delivery=lambda error, message: done.append((error, message.offset())))
    producer.flush(20)
    return done

@pytest.mark.parametrize("n", range(4))
def test_each_has_its_topics(barnabas_broker, n):
    assert barnabas_broker.topics() == []
    topic = barnabas_broker.topic("orders", partitions=2)
    assert barnabas_broker.topics() == ["orders"]
    assert send(barnabas_broker.bootstrap, topic) == [(None, 0)]

def test_killed(barnabas_broker):
    barnabas_broker.kill()

def test_after_the_kill(barnabas_broker):
    assert send(barnabas_broker.bootstrap, barnabas_broker.topic()) == [(None, 0)]

def test_container():
    from barnabas.testing import KafkaContainer
    with KafkaContainer("confluentinc/cp-kafka:7.6.0").with_kraft().with_env("KAFKA_NUM_PARTITIONS", "3") as kafka:
        assert send(kafka.get_bootstrap_server(), "made-on-first-use") == [(None, 0)]
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_user.py").write_text(SUITE)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, str(folder)],
        capture_output=True, text=True, cwd=folder, timeout=100,
    )


def test_a_suite_in_one_process(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout


def test_a_suite_with_workers_and_a_broker_process(tmp_path: Path) -> None:
    done = run(tmp_path, "-n", "2", "--barnabas-process")
    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout


def test_the_plugin_imports_nothing_until_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "test_user.py").write_text(
        "import sys\n"
        "def test_nothing():\n"
        "    loaded = [m for m in sys.modules if m.startswith('barnabas')]\n"
        "    assert set(loaded) <= {'barnabas', 'barnabas.testing'}, loaded\n"
        "    assert 'uvloop' not in sys.modules and 'msgspec' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True, text=True, cwd=tmp_path, timeout=60,
    )
    assert done.returncode == 0, done.stdout
