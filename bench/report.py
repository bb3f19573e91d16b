"""Turn samples into medians, ratios and a Markdown table that says on what machine they were measured."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.rows import METRICS, Metric, Sample
from bench.systems import SYSTEMS

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
OURS = "barnabas"


@dataclass(slots=True)
class Results:
    """Everything that a comparison found."""

    systems: tuple[str, ...]
    versions: dict[str, str]
    machine: dict[str, str]
    command: str
    quick: bool
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    """For each system one sample a round, in order; a round in which a run failed lacks that run's keys."""
    others: list[float] = field(default_factory=list)
    """For each run, how many cores something else on the machine kept busy."""
    failures: list[str] = field(default_factory=list)

    def values(self, system: str, key: str) -> list[float]:
        """Return the values of one metric, in the order of the rounds in which it was measured."""
        return [sample[key] for sample in self.samples.get(system, []) if key in sample]

    def ratio(self, system: str, key: str) -> float | None:
        """Return the median over the rounds of ours divided by the other's in the same round, None without any.

        Machine figures drift; two runs of one round are minutes apart at most, so their ratio drifts less than the
        ratio of two medians would.
        """
        pairs = zip(self.samples.get(OURS, []), self.samples.get(system, []), strict=False)
        found = [ours[key] / other[key] for ours, other in pairs if key in ours and other.get(key)]
        return statistics.median(found) if found else None


def _scale(value: float, unit: str) -> tuple[float, str, int]:
    """Choose how a figure is written: what it is divided by, the unit then, and decimals for three digits."""
    factor, shown = 1.0, unit
    if unit == "records/s":
        factor, shown = (1e6, "M/s") if abs(value) >= 1e6 else (1e3, "k/s")
    elif unit == "us" and abs(value) >= 1e4:
        factor, shown = 1e3, "ms"
    size = abs(value) / factor
    return factor, shown, 0 if size >= 100 else 1 if size >= 10 else 2


def show(values: Sequence[float], unit: str) -> str:
    """Write the median of some figures, and in brackets the lowest and highest of several, all in one unit."""
    if not values:
        return "–"
    middle = statistics.median(values)
    factor, shown, decimals = _scale(middle, unit)
    text = f"{middle / factor:,.{decimals}f} {shown}"
    if len(values) > 1:
        text += f" ({min(values) / factor:,.{decimals}f}–{max(values) / factor:,.{decimals}f})"
    return text


def _line(metric: Metric, results: Results) -> list[str]:
    cells = [show(results.values(system, metric.key), metric.unit) for system in results.systems]
    ratios = (results.ratio(system, metric.key) for system in results.systems if system != OURS)
    return [metric.label, *cells, *("–" if ratio is None else f"**{ratio:.2f}x**" for ratio in ratios)]


def markdown(results: Results) -> str:
    """Write the results as Markdown: a table of what is better high, one of what is better low, conditions."""
    titles = [SYSTEMS[name].title for name in results.systems]
    ratios = [f"Barnabas / {SYSTEMS[name].title}" for name in results.systems if name != OURS]
    if OURS not in results.systems:
        ratios = []
    lines: list[str] = []
    for heading, high in (("Throughput: more is better", True), ("Latency, CPU, memory, start: less is better", False)):
        metrics = [metric for metric in METRICS if metric.higher_is_better is high]
        metrics = [metric for metric in metrics if any(results.values(name, metric.key) for name in results.systems)]
        if not metrics:
            continue
        lines += [f"### {heading}", "", f"| {' | '.join(['', *titles, *ratios])} |"]
        lines += [f"|{'---|' * (1 + len(titles) + len(ratios))}"]
        for metric in metrics:
            lines.append(f"| {' | '.join(_line(metric, results)[: 1 + len(titles) + len(ratios)])} |")
        lines.append("")
    rounds = max((len(samples) for samples in results.samples.values()), default=0)
    taken = f"Medians of {rounds} rounds (lowest–highest in brackets)" if rounds > 1 else "One round"
    lines.append(
        f"{taken}, systems in turn, each run on a freshly started broker with an empty data directory, after a "
        "warm-up. A ratio is the median of the ratios within a round. CPU is user and system time of the broker "
        "process for a million records; memory is resident memory."
    )
    if results.quick:
        lines += ["", "**Short runs (--quick): they show that everything works, not how fast it is.**"]
    lines += ["", *(f"- {name}: {value}" for name, value in results.machine.items())]
    if results.others:
        others = f"median {statistics.median(results.others):.2f}, at most {max(results.others):.2f} cores"
        lines.append(f"- other processes, and the kernel's own threads, during the runs: {others}")
    lines += [f"- {SYSTEMS[name].title}: {results.versions[name]}" for name in results.systems]
    lines += [f"- {results.started[:10]}, `{results.command}`"]
    lines += [f"- Failed: {failure.splitlines()[0]}" for failure in results.failures]
    return "\n".join(lines) + "\n"


def write_between_marks(path: Path, text: str, begin: str = BEGIN, end: str = END) -> None:
    """Put `text` between the marks of a page, or at its end with marks around it; create the page when absent.

    Raises ValueError when the page has only one of the marks.
    """
    page = path.read_text() if path.exists() else ""
    block = f"{begin}\n{text}{end}"
    if (begin in page) != (end in page):
        raise ValueError(f"{path} has one of the marks {begin} and {end}, and not the other")
    if begin in page:
        page = page[: page.index(begin)] + block + page[page.index(end) + len(end) :]
    else:
        page = f"{page.rstrip()}\n\n{block}\n".lstrip()
    path.write_text(page)


def as_json(results: Results) -> Mapping[str, object]:
    """Return the results as plain data: each sample, the medians, the ratios and the conditions."""
    keys = dict.fromkeys(key for samples in results.samples.values() for sample in samples for key in sample)
    return {
        "version": 1,
        "started": results.started,
        "command": results.command,
        "quick": results.quick,
        "machine": results.machine,
        "others": results.others,
        "versions": results.versions,
        "units": {metric.key: metric.unit for metric in METRICS},
        "samples": results.samples,
        "medians": {
            name: {key: statistics.median(found) for key in keys if (found := results.values(name, key))}
            for name in results.systems
        },
        "ratios": {name: {key: results.ratio(name, key) for key in keys} for name in results.systems if name != OURS},
        "failures": results.failures,
    }
