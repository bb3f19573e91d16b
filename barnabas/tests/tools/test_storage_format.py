"""Test what the table of kafka-storage does not show: users for SCRAM, and which directory has the metadata."""

from __future__ import annotations

from pathlib import Path

import pytest

from barnabas.tools.main import run


def _format(tmp_path: Path, directories: str, *more: str) -> int:
    config = tmp_path / "server.properties"
    config.write_text(
        "process.roles=broker,controller\nnode.id=1\ncontroller.listener.names=C\n"
        "listeners=P://127.0.0.1:9092,C://127.0.0.1:9093\nlistener.security.protocol.map=P:PLAINTEXT,C:PLAINTEXT\n"
        f"inter.broker.listener.name=P\ncontroller.quorum.bootstrap.servers=127.0.0.1:9093\n{directories}\n"
    )
    return run("kafka-storage", ["format", "-s", "-t", "AAAAAAAAQACAAAAAAAAAAg", "-c", str(config), *more])


@pytest.mark.parametrize(("user", "error"), [
    ("name=alice,password=a,b", "No equals sign found in SCRAM component: b"),
    ("name=al,ice,password=x", "No equals sign found in SCRAM component: ice"),
    ('name=alice,password="a,b=c"', "Unknown SCRAM configurations: b"),
    ("name=a,,password=b", "No equals sign found in SCRAM component: "),
    ("", "No equals sign found in SCRAM component: "),
    (" name=a,password=b", "You must supply 'name' to add-scram"),
    ("name=a,password=b,iterations=x", "Failed to parse iterations count: x"),
    ("name=a,password=b,salt=%", "Failed to decode given salt: %"),
    ("name=a,saltedpassword=%,salt=N3E=", "Failed to decode given saltedPassword: %"),
    ("name=a,zz=1,password=b,aa=2", "Unknown SCRAM configurations: aa, zz"),
    ("name=a,zz=1", "You must supply one of 'password' or 'saltedpassword' to add-scram"),
])
def test_a_user_that_cannot_be_read_is_refused_in_java_s_words(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], user: str, error: str
) -> None:
    assert _format(tmp_path, f"log.dir={tmp_path}/a", "--add-scram", f"SCRAM-SHA-256=[{user}]") == 1
    assert capfd.readouterr() == ("", f"{error}\n")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(("user", "name", "key"), [  # the keys are those that Java's tool writes
    ('name=alice,password="se"cret",salt=N3E=', "alice", "31, 46, 53, -74, -70, -98, -56, -88, "),
    ('name="al",password=",salt=N3E=,,', "al", "-123, -83, 92, 13, -45, -34, 11, 66, 107, -98, -122, 32, 122, 28, "),
    ("name=a,password=b,saltedpassword=YCE=,salt=N3E", "a", "-32, 9, 92, 107, -9, 90, 4, 124, -53, -24, -35, 103, "),
])
def test_quotes_come_off_as_a_pair(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], user: str, name: str, key: str
) -> None:
    assert _format(tmp_path, f"log.dir={tmp_path}/a", "--add-scram", f" SCRAM-SHA-256=[{user}] ") == 0
    assert f"UserScramCredentialRecord(name='{name}', mechanism=1, salt=[55, 113], storedKey=[{key}" in (
        capfd.readouterr().out
    )


@pytest.mark.parametrize(("keys", "first"), [
    ("log.dir={0}/b,{0}/a", "b"), ("log.dirs={0}/b , {0}/a\nlog.dir={0}/c", "b"),
    ("log.dir={0}/b,{0}/a\nmetadata.log.dir={0}/m", "m"),
])
def test_the_metadata_lies_in_the_first_directory(tmp_path: Path, keys: str, first: str) -> None:
    assert _format(tmp_path, keys.format(tmp_path)) == 0
    assert [path.parent.name for path in tmp_path.glob("*/__cluster_metadata-0")] == [first]
    assert {path.parent.name for path in tmp_path.glob("*/meta.properties")} == {"a", "b", first}
