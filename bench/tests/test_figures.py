"""Figures come out of the generator's lines, the loader's times and the samples as they should."""

import json
import os
import time
from pathlib import Path

import pytest

from bench import latency, loads, report, rows
from bench.machine import Watch, describe
from bench.peers.folder import PeerError

PRODUCED = (
    "% Sending 300000 messages of size 100 bytes\n"
    "% 120000 messages produced (12000000 bytes), 99000 delivered (offset 98999, 0 failed) in 1000ms: 99000 msgs/s "
    "and 9.90 MB/s, 8 produce failures, 21000 in queue, no compression\n"
    "% 8 backpressures for 300000 produce calls: 0.003% backpressure rate\n"
)
DONE = (
    "% 300000 messages produced (30000000 bytes), 300000 delivered (offset 299999, 0 failed) in 2500ms: 120000 msgs/s "
    "and 12.00 MB/s, 8 produce failures, 0 in queue, no compression\n"
)
CONSUMED = (
    "% 300000 messages (30000000 bytes) consumed in 124ms: 2411730 msgs/s (241.17 MB/s)\n"
    "% Average application fetch latency: 0us\n"
)


def test_the_last_summary_counts() -> None:
    assert loads.parse_summary(PRODUCED + DONE) == loads.Summary(300_000, 2500)
    assert loads.parse_summary(CONSUMED) == loads.Summary(300_000, 124)


@pytest.mark.parametrize(
    "output", ["", "% ERROR CALLBACK: rdkafka#producer-1: Local: Broker transport failure\n", PRODUCED]
)
def test_output_without_success(output: str) -> None:
    with pytest.raises(PeerError):
        loads.parse_summary(output)


def test_rates_and_cost() -> None:
    load = loads.Load(records=2_000_000, seconds=4.0, broker_cpu=1.0, loader_cpu=6.0)
    assert (load.rate, load.cpu_per_million, load.loader_cores) == (500_000, 0.5, 1.5)


def test_percentiles_are_nearest_rank() -> None:
    times = latency.summarize([number * 1000 for number in range(1000, 0, -1)])
    assert times == {"mean": 500.5, "p50": 500.0, "p99": 990.0, "p999": 999.0}
    assert latency.summarize([7000]) == {"mean": 7.0, "p50": 7.0, "p99": 7.0, "p999": 7.0}


@pytest.mark.parametrize(
    ("values", "unit", "text"),
    [
        ([1_240_000.0], "records/s", "1.24 M/s"),
        ([950_000.0, 1_000_000.0, 1_020_000.0], "records/s", "1.00 M/s (0.95–1.02)"),
        ([15_432.0], "records/s", "15.4 k/s"),
        ([320.4], "us", "320 us"),
        ([9_000.0, 12_000.0, 20_000.0], "us", "12.0 ms (9.0–20.0)"),
        ([0.061], "CPU s", "0.06 CPU s"),
        ([], "MB", "–"),
    ],
)
def test_figures_as_text(values: list[float], unit: str, text: str) -> None:
    assert report.show(values, unit) == text


def _results() -> report.Results:
    results = report.Results(("barnabas", "kafka"), {"barnabas": "1", "kafka": "4"}, {"memory": "8 GB"}, "bench", True)
    results.samples = {
        "barnabas": [{"produce.rate": 2e6}, {"produce.rate": 3e6}, {"produce.rate": 9e6, "start.time": 200.0}],
        "kafka": [{"produce.rate": 1e6}, {}, {"produce.rate": 3e6, "start.time": 2000.0}],
    }
    return results


def test_ratios_are_taken_within_a_round() -> None:
    results = _results()
    assert results.ratio("kafka", "produce.rate") == 2.5
    assert results.ratio("kafka", "start.time") == 0.1
    assert results.ratio("kafka", "consume.rate") is None


def test_a_page_keeps_what_is_around_the_table(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("# Performance\n\nBefore.\n")
    text = report.markdown(_results())
    assert "| Produce, 100 B, batched, acks=1 | 3.00 M/s (2.00–9.00) | 2.00 M/s (1.00–3.00) | **2.50x** |" in text
    assert "--quick" in text
    report.write_between_marks(page, text)
    page.write_text(page.read_text() + "\nAfter.\n")
    report.write_between_marks(page, "new\n")
    assert page.read_text() == f"# Performance\n\nBefore.\n\n{report.BEGIN}\nnew\n{report.END}\n\nAfter.\n"
    page.write_text(f"{report.BEGIN}\n")
    with pytest.raises(ValueError, match="not the other"):
        report.write_between_marks(page, text)


def test_json_holds_samples_and_ratios() -> None:
    data = json.loads(json.dumps(report.as_json(_results())))
    assert data["samples"]["kafka"][1] == {}
    assert data["medians"]["barnabas"]["produce.rate"] == 3e6
    assert data["ratios"]["kafka"]["start.time"] == 0.1


def test_each_row_is_filled_by_a_run() -> None:
    filled = [row for _, names in rows.RUNS.values() for row in names]
    assert sorted(filled) == sorted(rows.ROWS)
    assert all(metric.key.startswith(f"{metric.row}.") for metric in rows.METRICS)


def test_own_work_is_not_the_work_of_others() -> None:
    watch, begin = Watch(), time.process_time()
    while time.process_time() - begin < 0.5:
        sum(range(1000))
    # Of all that the cores can do in this time half a second was ours; the kernel counts in hundredths.
    assert 0 <= watch.other_cores() * watch.seconds <= (os.cpu_count() or 1) * watch.seconds - 0.3


def test_the_machine_is_described(tmp_path: Path) -> None:
    found = describe(tmp_path)
    assert f"{len(os.sched_getaffinity(0))} cores" in found["processor"]
    assert found["memory"] != "?"
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    # inside a chroot the root is no mount, and its file system has no name
    assert (found["data on"] == "?") == (not any(tmp_path.is_relative_to(point) for point in mounted))
