#!/usr/bin/env python3
"""Run third-party test suites against a broker, beside the same run on a second one.

    run.py kafka-python 127.0.0.1:9092
    run.py all 127.0.0.1:9092 --against 127.0.0.1:19092
    run.py kgo 127.0.0.1:9092 --only 'Issue|Pause' --without share-groups

Suites are fetched and built once, below BARNABAS_PEERS (default ~/.cache/barnabas-peers), nothing in the repository.
Without `--against` the recorded run on Apache Kafka 4.3 (apache-kafka-4.3.json) stands beside. Exit code: 0 where
nothing regressed, 1 where tests pass there and not here, 2 where a suite could not be built.
"""

from __future__ import annotations

import argparse
import re
import signal
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from apis import advertised
from harness import Options, Suite, SuiteError, cache_folder, run_suite
from kafka_python import KafkaPython
from kgo import Kgo
from librdkafka import Librdkafka
from results import Expectations, Outcome, Result, Run, SuiteRun, report

HERE = Path(__file__).resolve().parent
RECORDED = HERE / "apache-kafka-4.3.json"
SUITES = ("kafka-python", "kgo", "librdkafka", "librdkafka-consumer")
#: features that tests need, and the API by which a broker shows that it has them
FEATURES = {"transactions": 24, "acls": 29, "sasl": 36, "scram": 50, "kip-848": 68, "share-groups": 76}


def make_suite(name: str) -> Suite:
    """Make the suite of this name."""
    if name == "kafka-python":
        return KafkaPython()
    if name == "kgo":
        return Kgo()
    return Librdkafka("consumer" if name.endswith("consumer") else "classic")


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("suite", choices=(*SUITES, "all"), help="all: each of them")
    add("broker", metavar="HOST:PORT", help="the broker under test; a file that --output wrote is compared unrun")
    add("--against", metavar="HOST:PORT", help="a second broker, or a recorded run; default: the recording")
    add("--only", default="", metavar="REGEX", help="run the tests whose names match")
    add("--skip", default="", metavar="REGEX", help="leave out the tests whose names match")
    add("--without", action="append", default=[], metavar="FEATURE", help="not implemented: its tests do not count")
    add("--jobs", type=int, choices=(1, 2), default=1, help="tests at a time, where a suite allows it")
    add("--records", type=int, default=50_000, help="records in kgo's longest tests")
    add("--patience", type=float, default=1.0, help="factor on time limits")
    add("--retries", type=int, default=1, help="how often a failed test runs again")
    add("--split", action="store_true", help="run the parts of a failed librdkafka test one by one")
    add("--list", action="store_true", help="name the tests and what is known of them, run nothing")
    add("--label", help="what to call the broker in tables and in the stored run (default: its address)")
    add("--output", type=Path, help="where to write the results as JSON (default: below the cache)")
    return parser.parse_args(given)


def run_broker(names: Sequence[str], address: str, output: Path, args: argparse.Namespace) -> Run:
    """Run suites on one broker and store the results after each; raises SuiteError."""
    options = Options(args.jobs, args.records, args.patience, args.only, args.split, args.retries)
    run = Run((args.label if address == args.broker else None) or address)
    expected = Expectations.load(HERE / "expected.toml")
    missing = missing_features(address)
    for name in names:
        suite = make_suite(name)
        suite.prepare(cache_folder())
        tests, absent = [], []
        for test in select(suite.tests(options), args.only, args.skip):
            lacks = expected.needs(name, test) & missing
            if lacks:
                absent.append(Result(test, Outcome.SKIPPED, 0.0, f"the broker has no {', '.join(sorted(lacks))}"))
            else:
                tests.append(test)
        print(f"{name} {suite.version} on {address}: {len(tests)} tests, {len(absent)} left out", flush=True)
        done = run.suites.setdefault(name, SuiteRun(name, suite.version))
        output.parent.mkdir(parents=True, exist_ok=True)
        try:
            run_suite(suite, address, output.with_suffix(""), options, tests, done)
            done.results += absent
            left_out = {result.name: result for result in suite.left_out()}
            done.results += [left_out[test] for test in select(list(left_out), args.only, args.skip)]
        finally:
            run.save(output)
    return run


def missing_features(address: str) -> frozenset[str]:
    """Name the features whose API the broker does not advertise; raises SuiteError where it does not answer."""
    host, _, port = address.rpartition(":")
    try:
        keys = advertised(host, int(port))
    except (OSError, struct.error) as error:
        raise SuiteError(f"no broker answers at {address}: {error}") from error
    return frozenset(feature for feature, key in FEATURES.items() if key not in keys)


def select(names: Sequence[str], only: str, skip: str) -> list[str]:
    """Keep the names that match `only` (empty: all) and do not match `skip` (empty: none)."""
    return [name for name in names if re.search(only, name) and not (skip and re.search(skip, name))]


def narrowed(run: Run, names: Sequence[str], args: argparse.Namespace) -> Run:
    """Cut a run down to the suites and tests of this command line."""
    kept = Run(run.broker)
    for name in names:
        if name in run.suites:
            suite = run.suites[name]
            chosen = set(select([result.name for result in suite.results], args.only, args.skip))
            suite.results = [result for result in suite.results if result.name in chosen]
            kept.suites[name] = suite
    return kept


def one_side(given: str, names: Sequence[str], output: Path, args: argparse.Namespace) -> Run:
    """Run on an address, or load a stored run where a file of that name exists."""
    if not re.fullmatch(r"\S+:\d+", given) and not Path(given).is_file():
        raise SuiteError(f"{given} is neither HOST:PORT nor a stored run")
    if Path(given).is_file():
        return narrowed(Run.load(Path(given)), names, args)
    return run_broker(names, given, output, args)


def show_list(names: Sequence[str], expected: Expectations, args: argparse.Namespace) -> None:
    """Print each test of the suites with what expected.toml says of it."""
    for name in names:
        suite = make_suite(name)
        suite.prepare(cache_folder())
        left_out = [result.name for result in suite.left_out()]
        for test in select([*suite.tests(Options()), *left_out], args.only, args.skip):
            print(f"{name} {test}  {expected.explain(name, test)}".rstrip())


def main(given: Sequence[str] | None = None) -> int:
    """Run what the command line says, print the comparison, return the exit code."""
    args = arguments(given)
    # A terminated run ends the tests that it started, as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    names = SUITES if args.suite == "all" else (args.suite,)
    expected = Expectations.load(HERE / "expected.toml")
    folder = cache_folder() / "results"
    try:
        if args.list:
            show_list(names, expected, args)
            return 0
        file_name = re.sub(r"[^\w.-]+", "_", args.broker)
        absent = missing_features(args.broker) if not Path(args.broker).is_file() else frozenset()
        runs = [one_side(args.broker, names, args.output or folder / f"{file_name}.json", args)]
        against = args.against or (str(RECORDED) if RECORDED.exists() else "")
        if against:
            file_name = re.sub(r"[^\w.-]+", "_", Path(against).name if Path(against).is_file() else against)
            runs.append(one_side(against, names, folder / f"against-{file_name}.json", args))
    except KeyboardInterrupt:
        print("run.py: interrupted", file=sys.stderr)
        return 130
    except SuiteError as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2
    text, bad = report(runs, expected, frozenset(args.without) | absent)
    print(text)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
