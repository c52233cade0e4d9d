"""How a run is, for monitors: metrics, whether it lives and is ready, its accounting."""

from dipstream.health.checks import Health, accounting, live, ready
from dipstream.health.metrics import CONTENT_TYPE, prometheus_text
from dipstream.health.server import HealthServer

__all__ = [
    "CONTENT_TYPE",
    "Health",
    "HealthServer",
    "accounting",
    "live",
    "prometheus_text",
    "ready",
]
