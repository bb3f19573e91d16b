"""Say what is measured: the rows of the table, and the runs that fill them, each on a broker started for it alone."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench import loads
from bench.frames import produce_frames
from bench.latency import measure
from bench.systems import Running

Sample = dict[str, float]
RATES = (1_000, 5_000, 10_000)
CONNECTIONS = 500
PRODUCERS = 3
PARTITIONS = 10


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much each run does: records after a warm-up, and records of the warm-up that precedes it."""

    stream: int = 5_000_000
    stream_warm: int = 2_000_000
    single: int = 150_000
    single_warm: int = 50_000
    idempotent: int = 1_000_000
    idempotent_warm: int = 400_000
    partitions: int = 1_500_000
    """For each of the producers."""
    partitions_warm: int = 600_000
    frames: int = 15_000_000
    frames_warm: int = 3_000_000
    latency_seconds: float = 10.0
    latency_warm_seconds: float = 3.0
    settle_seconds: float = 2.0
    """Time without load before idle memory is read."""


FULL = Sizes()
QUICK = Sizes(
    stream=300_000,
    stream_warm=100_000,
    single=15_000,
    single_warm=5_000,
    idempotent=60_000,
    idempotent_warm=20_000,
    partitions=100_000,
    partitions_warm=40_000,
    frames=900_000,
    frames_warm=180_000,
    latency_seconds=2.0,
    latency_warm_seconds=1.0,
    settle_seconds=0.5,
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One line of the table."""

    key: str
    row: str
    """The name that --only takes."""
    label: str
    unit: str
    """`records/s`, `us`, `ms`, `MB`, `KB` or `CPU s`; the last is CPU seconds of the broker for a million records."""
    higher_is_better: bool = False


def _load(row: str, label: str) -> list[Metric]:
    return [
        Metric(f"{row}.rate", row, label, "records/s", higher_is_better=True),
        Metric(f"{row}.cpu", row, f"{label}: CPU of the broker", "CPU s"),
    ]


METRICS: tuple[Metric, ...] = (
    *_load("produce", "Produce, 100 B, batched, acks=1"),
    *_load("single", "Produce, 100 B, one record a request, acks=1"),
    *_load("idempotent", "Produce, 1 kB, idempotent, acks=all"),
    *_load("consume", "Consume, 100 B"),
    *(
        metric
        for rate in RATES
        for metric in (
            *(
                Metric(f"latency.{rate}.{key}", "latency", f"End to end at {rate:,} records/s: {name}", "us")
                for key, name in (("mean", "mean"), ("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"))
            ),
            Metric(f"latency.{rate}.late", "latency", f"End to end at {rate:,} records/s: due to the loader", "us"),
            Metric(f"latency.{rate}.cpu", "latency", f"End to end at {rate:,} records/s: CPU of the broker", "CPU s"),
        )
    ),
    *_load("partitions", f"Produce, 100 B, {PARTITIONS} partitions, {PRODUCERS} producers"),
    *_load("frames", f"Prepared Produce frames, 100 B, {PARTITIONS} partitions"),
    Metric("frames.loader", "frames", "Prepared Produce frames: cores that the loader used", "cores"),
    *_load("idle", f"Produce, 100 B, batched, beside {CONNECTIONS} idle connections"),
    Metric("idle.memory", "idle", "Memory of an idle connection", "KB"),
    Metric("start.time", "start", "Start to first answered ApiVersions request", "ms"),
    Metric("memory.idle", "memory", "Memory, idle", "MB"),
    Metric("memory.after", "memory", "Memory, after the batched produce and consume loads", "MB"),
)
ROWS = tuple(dict.fromkeys(metric.row for metric in METRICS))


def _figures(row: str, load: loads.Load) -> Sample:
    return {f"{row}.rate": load.rate, f"{row}.cpu": load.cpu_per_million}


def _stream(broker: Running, sizes: Sizes) -> Sample:
    """Fill start, memory, produce and consume: they need one broker, one after the other."""
    time.sleep(sizes.settle_seconds)
    sample = {"start.time": broker.start_seconds * 1e3, "memory.idle": broker.resident_bytes() / 1e6}
    loads.create_topic(broker, "warm")
    loads.create_topic(broker, "stream")
    loads.produce(broker, "warm", sizes.stream_warm)
    sample |= _figures("produce", loads.produce(broker, "stream", sizes.stream))
    loads.consume(broker, "warm", sizes.stream_warm)
    sample |= _figures("consume", loads.consume(broker, "stream", sizes.stream))
    sample["memory.after"] = broker.resident_bytes() / 1e6
    return sample


def _single(broker: Running, sizes: Sizes) -> Sample:
    loads.create_topic(broker, "warm")
    loads.create_topic(broker, "single")
    loads.produce(broker, "warm", sizes.single_warm, options=loads.SINGLE)
    return _figures("single", loads.produce(broker, "single", sizes.single, options=loads.SINGLE))


def _idempotent(broker: Running, sizes: Sizes) -> Sample:
    loads.create_topic(broker, "warm")
    loads.create_topic(broker, "idempotent")
    options = loads.IDEMPOTENT
    loads.produce(broker, "warm", sizes.idempotent_warm, 1024, options, acks="-1")
    return _figures("idempotent", loads.produce(broker, "idempotent", sizes.idempotent, 1024, options, acks="-1"))


def _latency(broker: Running, sizes: Sizes) -> Sample:
    sample: Sample = {}
    # Small requests at full speed first: a cold JVM at the lowest rate would still be compiling at its end.
    loads.create_topic(broker, "warm")
    loads.produce(broker, "warm", sizes.single_warm, options=loads.SINGLE)
    for rate in RATES:
        topic = f"latency-{rate}"
        loads.create_topic(broker, topic)
        found = measure(broker, topic, rate, sizes.latency_seconds, sizes.latency_warm_seconds)
        times = found.end_to_end
        sample |= {
            f"latency.{rate}.mean": times["mean"],
            f"latency.{rate}.p50": times["p50"],
            f"latency.{rate}.p99": times["p99"],
            f"latency.{rate}.p999": times["p999"],
            f"latency.{rate}.late": found.late["mean"],
            f"latency.{rate}.cpu": found.load.cpu_per_million,
        }
    return sample


def _partitions(broker: Running, sizes: Sizes) -> Sample:
    loads.create_topic(broker, "warm", PARTITIONS)
    loads.create_topic(broker, "partitions", PARTITIONS)
    loads.produce(broker, "warm", sizes.partitions_warm, producers=PRODUCERS)
    return _figures("partitions", loads.produce(broker, "partitions", sizes.partitions, producers=PRODUCERS))


def _frames(broker: Running, sizes: Sizes) -> Sample:
    loads.create_topic(broker, "warm", PARTITIONS)
    loads.create_topic(broker, "frames", PARTITIONS)
    produce_frames(broker, "warm", PARTITIONS, sizes.frames_warm)
    load = produce_frames(broker, "frames", PARTITIONS, sizes.frames)
    return _figures("frames", load) | {"frames.loader": load.loader_cores}


def _idle(broker: Running, sizes: Sizes) -> Sample:
    loads.create_topic(broker, "warm")
    loads.create_topic(broker, "beside")
    loads.produce(broker, "warm", sizes.stream_warm)
    before = broker.resident_bytes()
    with loads.idle_connections(broker, CONNECTIONS):
        held = broker.resident_bytes() - before
        load = loads.produce(broker, "beside", sizes.stream)
    return _figures("idle", load) | {"idle.memory": held / CONNECTIONS / 1e3}


RUNS: Mapping[str, tuple[Callable[[Running, Sizes], Sample], tuple[str, ...]]] = {
    "stream": (_stream, ("start", "memory", "produce", "consume")),
    "single": (_single, ("single",)),
    "idempotent": (_idempotent, ("idempotent",)),
    "latency": (_latency, ("latency",)),
    "partitions": (_partitions, ("partitions",)),
    "frames": (_frames, ("frames",)),
    "idle": (_idle, ("idle",)),
}
"""The runs by name: what to do with a fresh broker, and which rows that fills."""
