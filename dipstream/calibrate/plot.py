"""Draws a calibration: transfer curve, its residuals, linearity, and the dark histogram."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from dipstream.calibrate.calibration import Calibration
from dipstream.calibrate.linearity import Linearity
from dipstream.errors import ConfigError

__all__ = ["draw"]

_MEASURED: dict[str, Any] = {"marker": "o", "markersize": 3.5, "linestyle": "none"}
_USED, _UNUSED, _LINE = "#1f5fa8", "#a9b4c2", "#c8442c"


def draw(calibrations: Sequence[Calibration], name: str, path: Path) -> None:
    """Draw each channel as a row of four plots and write the file; its ending says the format.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    rows = len(calibrations)
    figure = Figure(figsize=(17, 4.1 * rows + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 4, squeeze=False)
    for one, line in zip(calibrations, axes, strict=True):
        _transfer(line[0], one)
        _residuals(line[1], one)
        _linearity(line[2], one)
        _dark(line[3], one)
    channels = ", ".join(one.channel for one in calibrations)
    figure.suptitle(f"{name} – channel {channels}")
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise ConfigError(f"the plot {path} cannot be written: {error.strerror}") from error


def _transfer(axes: Axes, one: Calibration) -> None:
    x = one.means_dn - one.dark.offset_dn
    y = one.variances_dn2
    lit = x > max(0.1, 3 * one.dark.offset_se_dn)
    used = one.line.fitted
    axes.loglog(x[lit & used], y[lit & used], color=_USED, label="fitted", **_MEASURED)
    axes.loglog(x[lit & ~used], y[lit & ~used], color=_UNUSED, label="not fitted", **_MEASURED)
    full = one.saturation.mean_dn - one.dark.offset_dn
    grid = np.geomspace(max(float(x[lit].min()), 0.1), full, 200)
    slope, intercept = one.line.slope_dn.value, one.line.intercept_dn2.value
    axes.loglog(grid, np.maximum(intercept + slope * grid, 1e-12), color=_LINE, label="fit")
    axes.axhline(one.floor.variance_dn2.value, color="0.4", ls=":", label="without light")
    axes.axvline(full, color="0.4", ls="--", lw=0.8)
    axes.axvspan(0.7 * full, full, color="0.92", lw=0)
    axes.xaxis.set_minor_formatter(NullFormatter())
    least = min(one.floor.variance_dn2.value, intercept + slope * float(grid[0]))
    axes.set_ylim(0.3 * max(least, 0.01), None)
    gain = one.gain_e_per_dn
    axes.set_title(f"photon transfer: {gain.value:.5g} ± {gain.se:.1g} e⁻/DN", fontsize=10)
    axes.set_xlabel("mean above offset, DN")
    axes.set_ylabel("variance in time, DN²")
    axes.legend(fontsize=8)


def _residuals(axes: Axes, one: Calibration) -> None:
    used = one.line.fitted
    x = (one.means_dn - one.dark.offset_dn)[used]
    expected = one.line.intercept_dn2.value + one.line.slope_dn.value * x
    errors = np.array([pair.stats.variance_se_dn2 for pair in one.pairs])[used]
    percent = 100 * (one.variances_dn2[used] / expected - 1)
    axes.errorbar(x, percent, 100 * errors / expected, color=_USED, elinewidth=0.8, **_MEASURED)
    axes.axhline(0, color=_LINE)
    axes.set_title(f"residuals: reduced χ² {one.line.chi2:.2f}", fontsize=10)
    axes.set_xlabel("mean above offset, DN")
    axes.set_ylabel("variance − fit, % of the fit")


def _linearity(axes: Axes, one: Calibration) -> None:
    found = one.linearity
    axes.set_title("linearity", fontsize=10)
    if not isinstance(found, Linearity):
        axes.text(
            0.5, 0.5, _folded(found.reason), ha="center", va="center", transform=axes.transAxes
        )
        axes.set_axis_off()
        return
    axes.plot(found.exposure_ms, found.deviation_percent, color=_USED, **_MEASURED)
    axes.axhline(0, color=_LINE)
    error = found.error_percent
    axes.set_title(f"linearity error {error.value:.2g} ± {error.se:.1g} %", fontsize=10)
    axes.set_xlabel("exposure, ms")
    axes.set_ylabel("deviation from the line, %")


def _folded(text: str, width: int = 34) -> str:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += f"{word} "
    return "\n".join(lines)


def _dark(axes: Axes, one: Calibration) -> None:
    pair = one.dark.histogram_pair
    axes.set_title("dark frames", fontsize=10)
    if pair is None:
        axes.text(0.5, 0.5, "no dark pair", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    stats = pair.stats
    edges = stats.histogram_start_dn + stats.histogram_step_dn * np.arange(stats.histogram.size + 1)
    axes.stairs(stats.histogram, edges - 0.5, fill=True, color=_UNUSED, label="pixels")
    sigma = max(float(np.sqrt(one.floor.variance_dn2.value)), 1e-3)
    x = np.linspace(edges[0], edges[-1], 800)
    bell = np.exp(-0.5 * ((x - one.dark.offset_dn) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    bell *= stats.histogram.sum() * stats.histogram_step_dn
    axes.plot(x, bell, color=_LINE, label=f"normal, σ = {sigma:.3g} DN")
    present = np.flatnonzero(stats.histogram)
    axes.set_yscale("log")
    axes.set_ylim(0.5, 4 * float(stats.histogram.max()))
    axes.set_xlim(edges[present[0]] - 2, edges[present[-1]] + 2)
    noise = one.read_noise_e
    axes.set_title(f"dark frames: read noise {noise.value:.4g} ± {noise.se:.1g} e⁻", fontsize=10)
    axes.set_xlabel("DN")
    axes.set_ylabel("pixels")
    axes.legend(fontsize=8)
