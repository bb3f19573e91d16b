"""Finding a service and running it as a process: from the package, from a file, and files that are none."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from barnabas_quant.errors import QuantError
from barnabas_quant.runner import find_service, service_files, service_names
from barnabas_quant.service import ConsumerService, Service

from .conftest import eventually

GOOD = """
from barnabas_quant.service import ConsumerService

class Counter(ConsumerService):
    name = "counter"
    group = "counter-group"
    topics = ("market_data.trades",)

    def handle(self, messages):
        pass
"""

BAD = {
    "syntax": ("class Broken(\n", "SyntaxError"),
    "raises": ("1 / 0\n", "ZeroDivisionError"),
    "exits": ("import sys; sys.exit(3)\n", "SystemExit"),
    "none": ("x = 1\n", "0 services"),
    "two": (GOOD + GOOD.replace("Counter", "Other"), "2 services"),
    "nameless": (GOOD.replace('name = "counter"', "pass"), "does not say its name"),
    "groupless": (GOOD.replace('group = "counter-group"', "pass"), "does not say its group"),
    "misnamed": (GOOD.replace('"counter"', '"../counter"'), "lower-case letters"),
    "topicless": (GOOD.replace('topics = ("market_data.trades",)', "pass"), "does not say its topics"),
}


def test_every_module_of_the_package_is_a_service() -> None:
    names = service_names()
    assert {"cache", "gateway", "feed-replay"} <= set(names)
    for name in names:
        kind = find_service(name)
        assert issubclass(kind, Service)
        assert kind.name == name
        assert kind.summary


def test_a_file_is_found_by_its_path_and_by_its_name_in_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "my_counter.py"
    path.write_text(GOOD)
    for kind in (find_service(str(path)), find_service("my-counter", tmp_path), find_service("my_counter", tmp_path)):
        assert issubclass(kind, ConsumerService)
        assert (kind.name, kind.group) == ("counter", "counter-group")


def test_files_of_a_folder_without_helpers(tmp_path: Path) -> None:
    for name in ("b.py", "a.py", "_helper.py", "__init__.py", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in service_files(tmp_path)] == ["a.py", "b.py"]
    assert service_files(tmp_path / "missing") == []


def test_a_file_of_the_users_goes_before_a_service_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "cache.py").write_text(GOOD)
    assert find_service("cache", tmp_path).name == "counter"


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_is_no_service_is_named_with_the_reason(tmp_path: Path, case: str) -> None:
    text, reason = BAD[case]
    path = tmp_path / f"bad_{case}.py"
    path.write_text(text)
    with pytest.raises(QuantError, match=reason) as caught:
        find_service(str(path))
    assert str(path) in str(caught.value)


def test_what_is_not_there() -> None:
    with pytest.raises(QuantError, match=r"no service 'nothing'; there are: .*cache"):
        find_service("nothing")
    with pytest.raises(QuantError, match="no such file"):
        find_service("nothing.py")


def test_a_service_serves_its_metrics_and_ends_on_sigterm(
    bootstrap: str, tmp_path: Path, unused_port: int, seed: int
) -> None:
    path = tmp_path / "counter.py"
    path.write_text(GOOD.replace("counter-group", f"counter-{seed}"))
    process = subprocess.Popen(
        [sys.executable, "-m", "barnabas_quant", "run", str(path), "--kafka", bootstrap, "--data", str(tmp_path),
         "--metrics", f"127.0.0.1:{unused_port}"],
        stderr=subprocess.PIPE, env=os.environ, text=True,
    )  # fmt: skip
    try:

        def shown() -> bool:
            try:
                text = httpx.get(f"http://127.0.0.1:{unused_port}/metrics", timeout=2).text
            except httpx.HTTPError:
                return False
            return "barnabas_quant_records_total" in text and "barnabas_quant_lag" in text

        eventually(shown)
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors


def test_what_is_said_about_kafka_clients_reaches_a_service(bootstrap: str, tmp_path: Path) -> None:
    path, config = tmp_path / "counter.py", tmp_path / "own.toml"
    path.write_text(GOOD)
    config.write_text('[kafka_client]\n"security.protocol" = "PIGEON"\n')
    done = subprocess.run(
        [sys.executable, "-m", "barnabas_quant", "run", str(path), "--config", str(config), "--kafka", bootstrap,
         "--data", str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert re.fullmatch(r"barnabas-quant: kafka_client: .*security\.protocol.*\n", done.stderr)


def test_a_service_without_kafka_says_what_to_give(tmp_path: Path) -> None:
    path = tmp_path / "counter.py"
    path.write_text(GOOD)
    done = subprocess.run(
        [sys.executable, "-m", "barnabas_quant", "run", str(path), "--data", str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--kafka HOST:PORT" in done.stderr
    assert "Traceback" not in done.stderr
