"""Run the comparison: `python -m bench --help`."""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path

import bench
from bench.machine import Watch, describe
from bench.peers import generator
from bench.peers.folder import PeerError
from bench.report import Results, as_json, markdown, show, write_between_marks
from bench.rows import FULL, METRICS, QUICK, ROWS, RUNS, Sample
from bench.systems import SYSTEMS, System, started
from bench.wire import WireError


def _names(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def names(text: str) -> tuple[str, ...]:
        chosen = tuple(dict.fromkeys(text.split(",")))
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are {', '.join(known)}")
        return chosen

    return names


def _ports(text: str) -> range:
    first, _, last = text.partition("-")
    try:
        return range(int(first), int(last) + 1)
    except ValueError as error:
        raise argparse.ArgumentTypeError("FIRST-LAST expected") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=bench.__doc__)
    every = tuple(SYSTEMS)
    parser.add_argument("--systems", type=_names(every), default=every, metavar="NAME,...", help=", ".join(every))
    parser.add_argument("--only", type=_names(ROWS), default=ROWS, metavar="ROW,...", help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=3, help="an odd number (default: 3)")
    parser.add_argument("--quick", action="store_true", help="short runs, to see that everything works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the tables into this page")
    parser.add_argument("--folder", type=Path, help="where the brokers' data goes (default: the temporary folder)")
    parser.add_argument("--ports", type=_ports, metavar="FIRST-LAST", help="take listening ports from this range")
    return parser


def _command(chosen: argparse.Namespace) -> str:
    """Write the command that gives the same comparison, without the folders and ports of this machine."""
    words = ["python -m bench", f"--rounds {chosen.rounds}"]
    words += ["--quick"] if chosen.quick else []
    words += [f"--systems {','.join(chosen.systems)}"] if chosen.systems != tuple(SYSTEMS) else []
    words += [f"--only {','.join(chosen.only)}"] if chosen.only != ROWS else []
    return " ".join(words)


def _measure(run: str, system: System, chosen: argparse.Namespace) -> Sample:
    """Fill the chosen rows of one run on a fresh broker. Raises PeerError, WireError or OSError."""
    fill, _ = RUNS[run]
    with started(system, chosen.ports, chosen.folder) as broker:
        sample = fill(broker, QUICK if chosen.quick else FULL)
    return {key: value for key, value in sample.items() if key.partition(".")[0] in chosen.only}


def _compare(results: Results, chosen: argparse.Namespace) -> None:
    """Fill `results` run by run, and tell on standard error what came out; a run that fails is noted and left out."""
    units = {metric.key: metric.unit for metric in METRICS}
    results.samples = {name: [{} for _ in range(chosen.rounds)] for name in results.systems}
    wanted = [run for run, (_, rows) in RUNS.items() if set(rows) & set(chosen.only)]
    for run, number in product(wanted, range(chosen.rounds)):
        # Another system begins each round, so that none always follows the same neighbour.
        turn = number % len(results.systems)
        for name in results.systems[turn:] + results.systems[:turn]:
            watch = Watch()
            try:
                sample = _measure(run, SYSTEMS[name], chosen)
            except (PeerError, WireError, OSError) as error:
                results.failures.append(f"{run}, {name}, round {number + 1}: {error}")
                told = f"FAILED: {error}"
            else:
                results.samples[name][number] |= sample
                told = ", ".join(f"{key} {show([value], units[key])}" for key, value in sample.items())
            results.others.append(watch.other_cores())
            about = f"[{watch.seconds:.0f} s, others {results.others[-1]:.1f} cores]"
            print(f"{run} {number + 1}/{chosen.rounds} {name}: {told} {about}", file=sys.stderr, flush=True)


def main() -> int:
    """Compare the systems as the command line says; return 1 when a run failed."""
    chosen = _parser().parse_args()
    if chosen.rounds < 1:
        sys.exit("python -m bench: at least one round")
    # A terminated benchmark still ends its brokers and drops their data.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        generator.install()
        versions = {name: SYSTEMS[name].version() for name in chosen.systems}
    except PeerError as error:
        sys.exit(f"python -m bench: {error}")
    folder = chosen.folder or Path(tempfile.gettempdir())
    results = Results(chosen.systems, versions, describe(folder), _command(chosen), chosen.quick)
    _compare(results, chosen)
    text = markdown(results)
    print(text)
    if chosen.json:
        chosen.json.write_text(json.dumps(as_json(results), indent=1) + "\n")
    if chosen.markdown:
        write_between_marks(chosen.markdown, text)
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
