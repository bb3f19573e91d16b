"""librdkafka's test runner, built from the C sources inside the crate rdkafka-sys, one process a test.

Run are the tests that need one broker and nothing else: not those on librdkafka's mock cluster (`TEST_F_LOCAL`), nor
with emulated socket failures (`TEST_F_SOCKEM`), nor of another scenario than `default`, nor manual ones.
"""

from __future__ import annotations

import re
import shutil
import uuid
from dataclasses import replace
from pathlib import Path

import kafka_home
from harness import Finished, Options, SuiteError, built_once, need, run_limited, step
from results import Outcome, Result

BROKER_VERSION = "4.3.0.0"
LIMIT_SECONDS = 300.0
# Twenty rebalance scenarios, some of a minute; every administration call twice.
LONG_LIMIT_SECONDS = {"0113_cooperative_rebalance": 1200.0, "0081_admin": 600.0}
CRATE = "rdkafka-sys"
MANIFEST = """\
[package]
name = "vendored"
version = "0.0.0"
edition = "2021"

[dependencies]
{crate} = "={version}"
"""
JAVA = dict.fromkeys(("0098_consumer_txn", "0113_cooperative_rebalance"), "needs java, javac and mvn when it is built")
ENTRY = re.compile(r"_TEST\(\s*(\d{4}_\w+)\s*,([^;]*?)\),\s*(?=_TEST|#|/\*|\{NULL)", re.DOTALL)
COLOUR = re.compile(r"\x1b\[\d*m")
# The runner's summary goes to standard output, which is lost when it aborts, as it does whenever a test failed; what it
# says on standard error while it runs is not.
PASSED = re.compile(r"^\[.*\] =+ Test (\d{4}_\w+) PASSED =+$", re.MULTILINE)
FAILED = re.compile(r'^### Test "(\d{4}_\w+)(?: \((.*)\))?" failed at .* ###\n(.*)$', re.MULTILINE)
SKIPPED = re.compile(r"^\[(\d{4}_\w+) */ *[\d.]+s\] WARN: SKIPPING TEST: (.*)$", re.MULTILINE)
DURATION = re.compile(r"^\[.*\] (\d{4}_\w+): duration ([\d.]+)ms$", re.MULTILINE)
PART = re.compile(r"\bSUB_TEST\w*\(")
FUNCTION = re.compile(r"^(?:static )?(?:void|int)\s+(\w+)\s*\(", re.MULTILINE)


class Librdkafka:
    """Run librdkafka's integration tests, with the classic group protocol or with KIP-848's (`consumer`)."""

    version = "2.12.1"
    crate_version = "4.10.0"
    parallel = True

    def __init__(self, protocol: str = "classic") -> None:
        self.name = "librdkafka" if protocol == "classic" else f"librdkafka-{protocol}"
        self._protocol = protocol
        self._tests = Path()
        self._home = Path()

    def prepare(self, cache: Path) -> None:
        """Fetch the crate with cargo, configure and build library and test runner; one build serves both protocols."""
        folder = cache / f"librdkafka-{self.version}"
        self._tests = folder / "src" / "tests"
        self._home = folder / "kafka"
        with built_once(folder) as missing:
            kafka_home.write_scripts(self._home)
            if not missing:
                return
            need("cargo", "gcc", "g++", "make")
            print(f"building librdkafka {self.version} in {folder}", flush=True)
            (folder / "src.rs").touch()
            manifest = MANIFEST.format(crate=CRATE, version=f"{self.crate_version}+{self.version}")
            (folder / "Cargo.toml").write_text(manifest + '\n[lib]\npath = "src.rs"\n', encoding="utf-8")
            step(["cargo", "vendor", "-q", "vendor"], cwd=folder, log=folder / "fetch.log")
            shutil.rmtree(folder / "src", ignore_errors=True)
            shutil.copytree(folder / "vendor" / CRATE / "librdkafka", folder / "src", symlinks=True)
            one_replica(self._tests / "test.c")
            step(["./configure"], cwd=folder / "src", log=folder / "configure.log")
            step(["make", "-j2", "libs"], cwd=folder / "src", log=folder / "libs.log")
            step(["make", "-j2", "-C", "tests", "build"], cwd=folder / "src", log=folder / "tests.log")
            if kafka_home.has_java():
                kafka_home.fetch_clients(self._home)
                env = {"KAFKA_PATH": str(self._home)}
                step(["make", "java"], cwd=self._tests, log=folder / "java.log", env=env)

    def tests(self, options: Options) -> list[str]:
        """Name the tests that need one broker, the longest first, else in the runner's order.

        The runner chooses by number, so tests that share one run together: their names are joined by `+`.
        """
        groups: dict[str, list[str]] = {}
        for name, why in self._table():
            if not why:
                groups.setdefault(name[:4], []).append(name)
        ordered = sorted(groups.values(), key=lambda names: names[0] not in LONG_LIMIT_SECONDS)
        return ["+".join(names) for names in ordered]

    def left_out(self) -> list[Result]:
        """List the tests that need a scenario or emulated sockets; those on the mock cluster are not even named."""
        return [Result(name, Outcome.SKIPPED, detail=why) for name, why in self._table() if why and "mock" not in why]

    def run(self, test: str, address: str, log: Path, options: Options) -> list[Result]:
        """Run one test, or those that share its number; with `split`, the parts of a failed one too, each alone."""
        names = test.split("+")
        log = log.with_name(log.name.replace(test, names[0]))
        limit = sum(LONG_LIMIT_SECONDS.get(name, LIMIT_SECONDS) for name in names) * options.patience
        finished = self._runner(names[0], "", address, log, limit)
        home = f"{self._home}/bin/"
        found = [parse_log(name, finished) for name in names]
        results = [replace(result, detail=result.detail.replace(home, "")) for result in found]
        for failed in [result for result in results if options.split and result.outcome is Outcome.FAILED]:
            for part in self._parts(failed.name):
                alone = self._runner(failed.name, part, address, log.with_name(f"{log.stem}.{part}.log"), limit)
                results.append(replace(parse_log(failed.name, alone), name=f"{failed.name}/{part}"))
        return results

    def _runner(self, test: str, part: str, address: str, log: Path, limit: float) -> Finished:
        log.parent.mkdir(parents=True, exist_ok=True)
        config = log.with_suffix(".conf")
        # Topics are named and, at the end, deleted (-D) by prefix: a later test subscribes to patterns that match them.
        prefix = f"suite{test[:4]}x{uuid.uuid4().hex[:8]}"
        lines = (f"bootstrap.servers={address}", f"test.topic.prefix={prefix}", "test.topic.random=true")
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        env = {
            "TESTS": test[:4],
            "RDKAFKA_TEST_CONF": str(config),
            "TEST_CONSUMER_GROUP_PROTOCOL": self._protocol,
            "KAFKA_PATH": str(self._home),
            "BROKERS": address,
            "LD_LIBRARY_PATH": f"{self._tests.parent / 'src'}:{self._tests.parent / 'src-cpp'}",
        }
        if part:
            env["SUBTESTS"] = part
        # -L not the local tests, -E no socket emulation, -p1 one test at a time. Not -Q (quick): under it twenty tests
        # pass without doing anything.
        command = ["./test-runner", "-L", "-E", "-p1", "-D", "-V", BROKER_VERSION]
        return run_limited(command, cwd=self._tests, log=log, env=env, limit=limit)

    def _table(self) -> list[tuple[str, str]]:
        names = parse_table((self._tests / "test.c").read_text(encoding="utf-8"))
        if not names:
            raise SuiteError(f"no tests found in {self._tests / 'test.c'}")
        java = self._tests.joinpath("java", "TransactionProducerCli.class").exists()
        return names if java else [(name, why or JAVA.get(name, "")) for name, why in names]

    def _parts(self, test: str) -> list[str]:
        source = next(self._tests.glob(f"{test[:4]}-*.c*")).read_text(encoding="utf-8")
        starts = [(match.start(), match[1]) for match in FUNCTION.finditer(source)]
        ends = [start for start, _ in starts[1:]] + [len(source)]
        return [name for (start, name), end in zip(starts, ends, strict=True) if PART.search(source, start, end)]


def one_replica(source: Path) -> None:
    """Let the runner create topics with one replica where a test asks for three: transactions' tests do, needlessly."""
    asked = "rd_kafka_NewTopic_new(topicname, partition_cnt, replication_factor,"
    text = source.read_text(encoding="utf-8")
    if asked not in text:
        raise SuiteError(f"{source} does not create topics as expected")
    fewer = asked.replace("replication_factor,", "replication_factor > 1 ? 1 : replication_factor,")
    source.write_text(text.replace(asked, fewer), encoding="utf-8")


def parse_table(source: str) -> list[tuple[str, str]]:
    """Read the runner's table of tests: each name with why it cannot run on one given broker, empty where it can."""
    found = []
    for name, rest in ENTRY.findall(source[source.find("struct test tests[]") :]):
        scenario = re.search(r'\.scenario = "([^"]*)"', rest)
        why = ""
        if "TEST_F_LOCAL" in rest or name.endswith("_mock"):
            why = "runs on librdkafka's mock cluster or without a broker"
        elif "TEST_F_MANUAL" in rest:
            why = "manual, with the mock cluster"
        elif "TEST_F_SOCKEM" in rest:
            why = "emulates socket failures in the client"
        elif scenario and "default" not in scenario[1].split(","):
            why = f"needs a broker of the scenario {scenario[1]}"
        elif re.search(r"TEST_F_KNOWN_ISSUE\b", rest):
            why = "known issue of librdkafka"
        found.append((name, why))
    return found


def parse_log(test: str, finished: Finished) -> Result:
    """Read what the runner said of one test; where it said nothing, the test failed."""
    text = COLOUR.sub("", finished.text())
    failed = {name: f"{part}: {said}" if part else said for name, part, said in reversed(FAILED.findall(text))}
    skipped = dict(SKIPPED.findall(text))
    took = {name: float(milliseconds) / 1000 for name, milliseconds in DURATION.findall(text)}
    seconds = round(took.get(test, finished.seconds), 2)
    # A runner that ends badly for another test's sake aborts; without such a test, the bad ending is this one's.
    ended_well = finished.code == 0 or bool(failed)
    if test in failed:
        return Result(test, Outcome.FAILED, seconds, failed[test][:500])
    if test in skipped:
        return Result(test, Outcome.SKIPPED, seconds, skipped[test][:300])
    if test in PASSED.findall(text):
        said = "" if ended_well else f"passed, then {finished.ending()}"
        return Result(test, Outcome.PASSED if ended_well else Outcome.FAILED, seconds, said)
    return Result(test, Outcome.FAILED, seconds, f"no verdict: {finished.ending()}")
