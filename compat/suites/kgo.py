"""franz-go's tests of `kgo` that talk to a broker, from the Go module proxy.

Which tests those are is read from the sources: the functions whose body calls one of the package's helpers that open
a client or create a topic. Each runs as one process of the compiled test binary.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from harness import Options, SuiteError, built_once, need, run_limited, step
from results import Outcome, Result

MODULE = "github.com/twmb/franz-go"
LIMIT_SECONDS = 60.0
# Chains of consumers: three groups a chain, six chains, every balancer, with members that come and go.
LONG_LIMIT_SECONDS = 300.0
HELPERS = re.compile(r"\b(newTestClient|testClientOpts|getSeedBrokers|tmp\w*Topic\w*|tmp\w*Group|adm)\(|\bscramSeeds\b")
# It asks whether the broker knows KIP-848 before anything has found that out: another test has to run before it.
COMPANIONS = {"TestGroupSimple": "TestIssue325"}
VERDICT = re.compile(r"^(?P<indent> *)--- (?P<what>PASS|FAIL|SKIP): (?P<name>\S+) \((?P<seconds>[\d.]+)s\)$")
OUTCOMES = {"PASS": Outcome.PASSED, "FAIL": Outcome.FAILED, "SKIP": Outcome.SKIPPED}


class Kgo:
    """Run the broker tests of the Go client franz-go; a test with sub-tests gives one result for each of them."""

    name = "kgo"
    version = "v1.22.2"
    parallel = True

    def __init__(self) -> None:
        self._binary = Path()
        self._sources = Path()

    def prepare(self, cache: Path) -> None:
        """Fetch the module and compile its tests."""
        need("go")
        folder = cache / f"{self.name}-{self.version}"
        self._binary = folder / "kgo.test"
        with built_once(folder) as missing:
            if missing:
                print(f"building {self.name} {self.version} in {folder}", flush=True)
            fetch = ["go", "mod", "download", "-json", f"{MODULE}@{self.version}"]
            said = step(fetch, cwd=folder, log=folder / "fetch.log")
            module = Path(json.loads(said[said.index("{") :])["Dir"])
            self._sources = module / "pkg" / "kgo"
            if missing:
                step(["go", "test", "-c", "-o", self._binary, "./pkg/kgo"], cwd=module, log=folder / "build.log")

    def tests(self, options: Options) -> list[str]:
        """Name the test functions that use a broker, in the order of files and lines."""
        names = [name for path in sorted(self._sources.glob("*_test.go")) for name in broker_tests(path.read_text())]
        if not names:
            raise SuiteError(f"no broker tests found in {self._sources}")
        return names

    def left_out(self) -> list[Result]:
        """Leave out nothing: tests that lack something skip themselves."""
        return []

    def run(self, test: str, address: str, log: Path, options: Options) -> list[Result]:
        """Run one test function."""
        limit = options.patience * (LONG_LIMIT_SECONDS if test.lower().endswith("etl") else LIMIT_SECONDS)
        env = {
            "KGO_SEEDS": address,
            "KGO_TEST_RF": "1",
            "KGO_TEST_RECORDS": str(options.records),
            "KGO_LOG_LEVEL": "info",
        }
        # Go's own limit comes first: on it the binary prints every goroutine, which says where a test hangs.
        go_limit = f"-test.timeout={limit:.0f}s"
        command: list[str | Path] = [self._binary, "-test.v", go_limit, f"-test.run=^{test}$"]
        if test in COMPANIONS:
            command[-1:] = [f"-test.run=^({COMPANIONS[test]}|{test})$", "-test.parallel=1"]
        finished = run_limited(command, cwd=self._binary.parent, log=log, env=env, limit=limit + 10)
        return parse_go(test, finished.text(), finished.code, finished.seconds, finished.ending())


def broker_tests(source: str) -> list[str]:
    """Name the test functions of a Go file whose body calls a helper that talks to a broker."""
    bodies = re.findall(r"^func (Test\w+)\(\w+ \*testing\.T\) \{\n(.*?)^\}", source, re.MULTILINE | re.DOTALL)
    return [name for name, body in bodies if HELPERS.search(body)]


def parse_go(test: str, text: str, code: int | None, seconds: float, ending: str) -> list[Result]:
    """Read the verdicts of one test function from the output of a test binary run with -test.v.

    Sub-tests stand for their parent, unless the parent failed and none of them did. No verdict, or a bad ending with
    good verdicts only (a panic, a time limit), is a failure of the parent.
    """
    lines = text.splitlines()
    found = [match for match in map(VERDICT.match, lines) if match]
    verdicts = [match for match in found if match["name"].split("/")[0] == test]
    parts = [match for match in verdicts if match["indent"]] or verdicts
    results = [_result(match, lines) for match in parts]
    failed = any(result.outcome is Outcome.FAILED for result in results)
    if not failed and (code != 0 or not results):
        why = next((line.strip() for line in lines if line.startswith("panic:")), ending)
        parent = next((_result(match, lines) for match in verdicts if match["what"] == "FAIL"), None)
        results.append(parent or Result(test, Outcome.FAILED, round(seconds, 2), why[:300]))
    return results


def _result(match: re.Match[str], lines: list[str]) -> Result:
    outcome = OUTCOMES[match["what"]]
    detail = "" if outcome is Outcome.PASSED else _said(match.string, lines)
    if outcome is Outcome.FAILED and not detail:
        detail = next((line.strip()[:300] for line in lines if line.startswith("panic:")), "")
    return Result(match["name"], outcome, float(match["seconds"]), detail)


def _said(verdict: str, lines: list[str]) -> str:
    # With -test.v, what a test says stands before its verdict, between other tests' lines: take the last such line
    # above it that is not about cleaning up.
    above = lines[: lines.index(verdict)]
    said = [line.strip() for line in above if re.match(r"\s+\w+_test\.go:\d+: ", line)]
    said = [line for line in said if not re.search(r"deleting (topic|group)|completed in", line)]
    return said[-1][:300] if said else ""
