"""Prometheus counters and gauges of the media plane."""

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from callwright.media.counts import AudioCounts


class MediaMetrics:
    """The media plane's figures in one registry; each name may be registered there only once."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.refused = Counter(
            "callwright_media_refused",
            "Media sockets refused and messages rejected, by reason.",
            ["reason"],
            registry=registry,
        )
        self.frames = Counter(
            "callwright_media_frames",
            "Audio frames relayed: heard (person to agent), spoken (agent to person), filled (silence).",
            ["kind"],
            registry=registry,
        )
        self.dropped = Counter(
            "callwright_media_dropped_frames",
            "Audio frames dropped, by the reason.",
            ["reason"],
            registry=registry,
        )
        self.calls = Gauge(
            "callwright_media_calls", "Conversations whose audio is relayed now.", registry=registry
        )
        self.sockets = Gauge(
            "callwright_media_sockets", "Open media sockets, by leg.", ["leg"], registry=registry
        )
        self.lost = Counter(
            "callwright_media_lost",
            "Media sockets that ended without us, by leg.",
            ["leg"],
            registry=registry,
        )
        self.lag = Gauge(
            "callwright_media_loop_lag_seconds",
            "Longest delay of the pacing timer in the last second.",
            registry=registry,
        )
        self.stalls = Counter(
            "callwright_media_stalls",
            "Times that the process stood still for more than 50 ms.",
            registry=registry,
        )


class CountReport:
    """Adds the counts of one call to the process's figures, now and then, so that no frame costs a metric."""

    def __init__(self, metrics: MediaMetrics, counts: AudioCounts) -> None:
        self._metrics = metrics
        self._counts = counts
        self._last = AudioCounts()

    def send(self) -> None:
        """Add what was counted since the last time."""
        now, last = self._counts.as_dict(), self._last.as_dict()
        for kind in ("heard", "spoken", "filled"):
            self._metrics.frames.labels(kind).inc(now[kind] - last[kind])
        for name, count in now.items():
            if name.startswith("dropped_") and count > last[name]:
                self._metrics.dropped.labels(name.removeprefix("dropped_")).inc(count - last[name])
        self._last = AudioCounts(**now)
