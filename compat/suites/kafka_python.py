"""kafka-python's integration tests, from its source distribution, against a broker that already runs.

The tests know `KAFKA_URI` for an external broker, and `KAFKA_VERSION` for what it can do. The source distribution
lacks two files that they import: the package marker `test/__init__.py` (without it Python's own `test` package is
found) and `test/service.py`, which starts brokers. Both are written here; ours starts nothing.
"""

from __future__ import annotations

import re
import sys
import tarfile
from pathlib import Path
from xml.etree import ElementTree

from harness import Finished, Options, SuiteError, built_once, run_limited, step
from results import Outcome, Result

BROKER_VERSION = "4.3.0"
LIMIT_SECONDS = 60.0
# What the tests import for compression; without them those tests skip themselves.
CODECS = ("lz4", "python-snappy", "zstandard", "crc32c")
SERVICE = '''\
"""Stand-in for kafka-python's own broker starter: the broker is external."""


class ExternalService:
    def __init__(self, host, port):
        self.address = (host, port)

    def open(self):
        pass

    close = stop = dump_logs = open


class SpawnedService:
    def __init__(self, *arguments):
        raise RuntimeError("this run has an external broker and starts none")
'''


class KafkaPython:
    """Run kafka-python's integration tests, one pytest process a test.

    Not in parallel: two tests share the transactional id `testing` and fence each other off.
    """

    name = "kafka-python"
    version = "3.0.12"
    parallel = False

    def __init__(self) -> None:
        self._root = Path()
        self._python = Path()

    def prepare(self, cache: Path) -> None:
        """Fetch and unpack the source distribution, install it with pytest into an environment of its own."""
        folder = cache / f"{self.name}-{self.version}"
        self._root = folder / f"kafka_python-{self.version}"
        self._python = folder / "venv" / "bin" / "python"
        with built_once(folder) as missing:
            if not missing:
                return
            print(f"building {self.name} {self.version} in {folder}", flush=True)
            step([sys.executable, "-m", "venv", "venv"], cwd=folder, log=folder / "venv.log")
            pip: list[str | Path] = [self._python, "-m", "pip", "-q"]
            wanted = f"kafka-python=={self.version}"
            step([*pip, "download", "--no-deps", "--no-binary", ":all:", wanted], cwd=folder, log=folder / "fetch.log")
            with tarfile.open(folder / f"kafka_python-{self.version}.tar.gz") as archive:
                archive.extractall(folder, filter="data")
            (self._root / "test" / "__init__.py").touch()
            (self._root / "test" / "service.py").write_text(SERVICE, encoding="utf-8")
            wanted_too = ("pytest", "pytest-timeout", "pytest-mock", "py", *CODECS)
            step([*pip, "install", self._root, *wanted_too], cwd=folder, log=folder / "install.log")

    def tests(self, options: Options) -> list[str]:
        """Ask pytest for the tests; names are `module::test[parameters]`."""
        log = self._root.parent / "collect.log"
        found = self._pytest(["--collect-only", "-q"], "127.0.0.1:1", log, LIMIT_SECONDS)
        tests = re.findall(r"^test/integration/(test_\w+\.py::\S.*)$", found.text(), re.MULTILINE)
        if not tests:
            raise SuiteError(f"pytest lists no tests, see {log}")
        return tests

    def left_out(self) -> list[Result]:
        """List the tests that start a broker of their own."""
        why = "starts a broker of its own, with TLS certificates made by keytool"
        return [
            Result(f"test_ssl_integration.py::TestSSLConnection::{test}", Outcome.SKIPPED, detail=why)
            for test in ("test_ssl_handshake", "test_legacy_kafka_client_ssl")
        ]

    def run(self, test: str, address: str, log: Path, options: Options) -> list[Result]:
        """Run one test in its own pytest process."""
        log = log.with_name(re.sub(r"[^\w.-]+", "_", log.stem) + ".log")
        verdict = log.with_suffix(".xml")
        verdict.unlink(missing_ok=True)
        limit = LIMIT_SECONDS * options.patience
        finished = self._pytest([f"test/integration/{test}", f"--junitxml={verdict}"], address, log, limit)
        return [parse_junit(test, verdict, finished)]

    def _pytest(self, arguments: list[str], address: str, log: Path, limit: float) -> Finished:
        if not arguments[0].startswith("test/"):
            arguments = ["test/integration", "--ignore=test/integration/test_ssl_integration.py", *arguments]
        env = {
            "KAFKA_URI": f"kafka://{address}",
            "KAFKA_VERSION": BROKER_VERSION,
            "KAFKA_ROOT": str(self._root),  # must exist; nothing of it is used with an external broker
        }
        quiet = ["-p", "no:cacheprovider", "-o", "log_level=INFO", "-o", "addopts="]
        command: list[str | Path] = [self._python, "-m", "pytest", *quiet, *arguments]
        return run_limited(command, cwd=self._root, log=log, env=env, limit=limit)


def parse_junit(test: str, verdict: Path, finished: Finished) -> Result:
    """Read one test's JUnit file; without one, or with an empty one, the test failed."""
    case = None
    if finished.code is not None and verdict.exists():
        case = ElementTree.parse(verdict).getroot().find(".//testcase")
    if case is None:
        return Result(test, Outcome.FAILED, round(finished.seconds, 2), finished.ending())
    seconds = round(float(case.get("time", "0")), 2)
    for tag, outcome in (("failure", Outcome.FAILED), ("error", Outcome.FAILED), ("skipped", Outcome.SKIPPED)):
        said = case.find(tag)
        if said is not None:
            return Result(test, outcome, seconds, (said.get("message") or "").strip().split("\n")[0][:300])
    return Result(test, Outcome.PASSED, seconds)
