"""A run's numbers in the text format of Prometheus."""

import shutil
from collections.abc import Iterator
from contextlib import suppress

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.registry import Collector

from dipstream.run.histogram import Histogram
from dipstream.service import LiveRun

__all__ = ["CONTENT_TYPE", "prometheus_text"]


def prometheus_text(run: LiveRun) -> str:
    """Return the numbers of a run as Prometheus reads them.

    Counters count this session of the run and begin at 0 in the next one, as Prometheus expects.
    """
    # A registry of its own: the library's global one would add numbers of the Python process.
    registry = CollectorRegistry()
    registry.register(_RunCollector(run))
    return generate_latest(registry).decode()


class _RunCollector(Collector):
    """Yields what is known of a run."""

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._status = run.status()

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield from self._about()
        yield from self._frames()
        yield from self._times()
        yield from self._room()
        yield from self._mirrors()

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: the registry need not know the names."""
        return iter(())

    def _about(self) -> Iterator[Metric]:
        run = self._run
        yield InfoMetricFamily(
            "dipstream_run",
            "Which run it is.",
            {"run_id": run.run_id, "pipeline": run.plan.name, "source": run.source.info.name},
        )
        yield _gauge("running", "1 while frames are taken or analysed.", not run.poll(0.0))
        yield _gauge("failed", "1 if the run has failed.", run.error is not None)
        trouble = bool(self._status.source_trouble)
        yield _gauge("source_up", "0 while the source says that it is degraded.", not trouble)
        balanced = self._status.accounting.balanced
        yield _gauge("balanced", "0 if the frames do not add up.", balanced)

    def _frames(self) -> Iterator[Metric]:
        status, book = self._status, self._status.accounting
        yield _counter("frames_received", "Frames that were admitted.", book.received)
        ended = CounterMetricFamily(
            "dipstream_frames", "Frames by the state they ended in.", labels=["state"]
        )
        for state in ("analysed", "dropped", "quarantined", "late"):
            ended.add_metric([state], getattr(book, state))
        yield ended
        dropped = CounterMetricFamily(
            "dipstream_frames_dropped", "Dropped frames by kind of reason.", labels=["reason"]
        )
        for reason, n in status.drops.items():
            dropped.add_metric([reason], n)
        yield dropped
        yield _gauge("frames_pending", "Frames that were admitted and have no end.", book.pending)
        if book.gap is not None:
            text = "Numbers that the device's counter skipped."
            yield _counter("sequence_gap_frames", text, book.gap)
        yield _counter("image_sets", "Image sets that were committed.", status.image_sets)
        yield _counter("objects", "Objects that were committed.", status.objects)

    def _times(self) -> Iterator[Metric]:
        status = self._status
        yield _histogram("frame_lag", "From a frame's arrival to its row.", status.lags)
        yield _histogram("commit", "A transaction, until it is durable.", status.commits)
        text = "Rows that came later than the deadline."
        yield _counter("deadline_misses", text, status.deadline_misses)
        yield _gauge("idle_seconds", "Since the committer's loop went round.", status.idle_s)
        yield _gauge("truth_pending_frames", "Frames without their truth.", status.truth_behind)

    def _room(self) -> Iterator[Metric]:
        status, folder = self._status, self._run.folder
        yield _gauge("queue_fill_ratio", "Pixels in memory over the limit.", status.queue_fill)
        yield _gauge("spill_fill_ratio", "Pixels on the disk over the limit.", status.spill_fill)
        yield _counter("spilled_image_sets", "Image sets that waited on disk.", status.spilled)
        with suppress(OSError):
            yield _gauge("disk_free_bytes", "Room for the run.", shutil.disk_usage(folder).free)
        with suppress(OSError):
            size = (folder / "table.db-wal").stat().st_size
            yield _gauge("wal_bytes", "Length of SQLite's write-ahead log.", size)

    def _mirrors(self) -> Iterator[Metric]:
        text = "Commits that a mirror lacks."
        behind = GaugeMetricFamily("dipstream_mirror_behind_commits", text, labels=["mirror"])
        text = "0 while a mirror cannot be reached."
        there = GaugeMetricFamily("dipstream_mirror_up", text, labels=["mirror"])
        for mirror in self._run.mirrors:
            behind.add_metric([mirror.target], mirror.behind)
            there.add_metric([mirror.target], float(mirror.away_since_ns is None))
        yield from (behind, there)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"dipstream_{name}", text, value=float(value))


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"dipstream_{name}", text, value=float(value))


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    buckets = [
        ("+Inf" if edge == float("inf") else str(edge), float(n))
        for edge, n in histogram.cumulative()
    ]
    return HistogramMetricFamily(
        f"dipstream_{name}_seconds", text, buckets=buckets, sum_value=histogram.total_s
    )
