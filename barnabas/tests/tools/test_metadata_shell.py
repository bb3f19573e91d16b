"""The tree of the metadata, as Apache Kafka 4.3's shell shows it of the same file."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from barnabas.tools.main import run
from barnabas.tools.metadata_tree import read_tree
from barnabas.tools.scripts.metadata_shell import Shell

from .prepared_logs import prepare

EXPECTED = """\
byId:
  AAECAwQFBgcICQoLDA0ODw:
    StandardAcl[resourceType=TOPIC, resourceName=orders, patternType=LITERAL, principal=User:bob, host=*, \
operation=READ, permissionType=ALLOW]
brokers:
  1:
    BrokerRegistration(id=1, epoch=9, incarnationId=AAECAwQFBgcICQoLDA0ODw, listeners=[Endpoint(\
listenerName='PLAINTEXT', securityProtocol=PLAINTEXT, host='localhost', port=9092)], supportedFeatures=\
{metadata.version: 7-30}, rack=Optional.empty, fenced=false, inControlledShutdown=false, isMigratingZkBroker=false, \
directories=[AAECAwQFBgcICQoLDA0ODw], cordonedDirectories=null)
controllers:
  1:
    ControllerRegistration(id=1, incarnationId=AAECAwQFBgcICQoLDA0ODw, zkMigrationReady=false, listeners=[Endpoint(\
listenerName='CONTROLLER', securityProtocol=PLAINTEXT, host='localhost', port=9093)], supportedFeatures=\
{metadata.version: 7-30})
BROKER:
  log.cleaner.threads:
    2
TOPIC:orders:
  retention.ms:
    1000
finalized_group.version:
  1
finalized_transaction.version:
  2
metadataVersion:
  Optional[4.3-IV0]
offset 19, epoch 1, time 2020-09-13T12:26:40Z[UTC]
SCRAM-SHA-256:
  alice:
    ScramCredentialData(salt=73616c74, storedKey=73746f726564, serverKey=736572766572, iterations=4096)
SCRAM-SHA-512:
0:
  PartitionRegistration(replicas=[1], directories=[AAECAwQFBgcICQoLDA0ODw], isr=[1], removingReplicas=[], \
addingReplicas=[], elr=[], lastKnownElr=[], leader=1, leaderRecoveryState=RECOVERED, leaderEpoch=0, partitionEpoch=0)
1:
  PartitionRegistration(replicas=[1], directories=[AAECAwQFBgcICQoLDA0ODw], isr=[1], removingReplicas=[], \
addingReplicas=[], elr=[], lastKnownElr=[], leader=1, leaderRecoveryState=RECOVERED, leaderEpoch=1, partitionEpoch=1)
id:
  AAECAwQFBgcICQoLDA0ODw
name:
  orders
"""
FOLDERS = (
    "/image/acls", "/image/cluster", "/image/configs", "/image/features", "/image/provenance", "/image/scram",
    "/image/topics/byName/orders",
)


@pytest.fixture
def metadata(tmp_path: Path) -> Path:
    prepare(tmp_path)
    return tmp_path / "__cluster_metadata-0"


@pytest.mark.parametrize("name", ["00000000000000000000.log", "00000000000000000021-0000000001.checkpoint"])
def test_the_tree_is_kafka_s(metadata: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("kafka-metadata-shell", ["--snapshot", str(metadata / name), "tree", *FOLDERS]) == 0
    assert capfd.readouterr().out == EXPECTED


def test_quotas_are_shown_with_java_s_numbers(metadata: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("kafka-metadata-shell", ["--snapshot", str(metadata), "tree", "/image/clientQuotas"]) == 0
    assert capfd.readouterr().out == (
        "clientId():\n  request_percentage:\n    12.5\nuser(bob):\n  producer_byte_rate:\n    1.0E7\n"
    )


def test_commands_are_read_from_standard_input(
    metadata: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "pwd\ncd image/topics\nls\ncd ../nope\ncd byName/*/id\ncd ..\npwd\nbad 'quote\nhistory 1\nexit\nls\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    assert run("kafka-metadata-shell", ["--snapshot", str(metadata.parent)]) == 0
    assert capfd.readouterr().out == (
        "Loading...\nStarting...\n[ Kafka Metadata Shell ]\n>> /\n>> >> byId\nbyName\n"
        ">> cd: ../nope: no such directory.\n>> cd: byName/*/id: not a directory.\n>> >> /image\n"
        ">> No closing quotation\n>>     7  history 1\n>> "
    )


def test_the_tabulator_completes(metadata: Path) -> None:
    shell = Shell(read_tree(metadata))
    assert shell.completions("", "h") == ["help ", "history "]
    assert shell.completions("man ", "tr") == ["tree "]
    assert shell.completions("ls ", "im") == ["image/"]
    assert shell.completions("cd ", "/image/topics/byN") == ["/image/topics/byName/"]
    assert shell.completions("pwd ", "i") == []
