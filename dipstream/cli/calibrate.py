"""Calibrates a camera: measures, reports, draws, and writes the camera file."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from dipstream.calibrate import (
    Calibration,
    CameraFile,
    Measured,
    calibrate,
    mode_of,
    notes_of,
    warnings_of,
    write_camera,
)
from dipstream.calibrate.camera_file import check_target
from dipstream.errors import ConfigError
from dipstream.source import FlatSource, Source
from dipstream.sources import open_source
from dipstream.version import __version__

__all__ = ["Request", "calibrate_camera"]

_LEVELS = 50
_SAID_EVERY_S = 2.0
_PLOTS = (".png", ".svg", ".pdf")


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asked for; None means not given."""

    source: str
    levels: int | None = None
    out: Path | None = None
    plot: Path | None = None
    name: str | None = None
    channel: str | None = None
    offset_dn: float | None = None
    excess_noise: float | None = None
    frames: int | None = None
    options: dict[str, Any] = field(default_factory=dict)


def calibrate_camera(request: Request, *, as_json: bool) -> None:
    """Measure and report; everything that can be refused is refused before the first frame."""
    _check_files(request)
    with open_source(request.source, **request.options) as source:
        if request.levels is not None and not isinstance(source, FlatSource):
            raise ConfigError(
                f"{request.source} cannot dim its own light, so that --levels means nothing; its "
                "frames are taken as they come. Leave --levels out"
            )
        measured = calibrate(
            source,
            levels=request.levels or _LEVELS,
            channel=request.channel,
            offset_dn=request.offset_dn,
            excess_noise=request.excess_noise,
            frames=request.frames,
            progress=_progress(),
        )
        camera = _camera_file(request, source, measured)
    if request.out is not None:
        write_camera(request.out, camera)
    if request.plot is not None:
        from dipstream.calibrate.plot import draw  # noqa: PLC0415 - a second of matplotlib

        draw(measured, camera.name, request.plot)
    for warning in dict.fromkeys(text for one in measured for text in warnings_of(one)):
        typer.echo(f"warning: {warning}", err=True)
    if as_json:
        typer.echo(json.dumps(_summary(request, camera, measured), ensure_ascii=False))
    else:
        _report(request, camera, measured)


def _check_files(request: Request) -> None:
    if request.out is not None:
        check_target(request.out)
    if request.plot is not None:
        if request.plot.suffix.lower() not in _PLOTS:
            raise ConfigError(
                f"received the plot {request.plot}; its name must end in {', '.join(_PLOTS)}"
            )
        if not request.plot.absolute().parent.is_dir():
            raise ConfigError(f"there is no folder {request.plot.absolute().parent}; make it first")


def _progress() -> Callable[[int], None]:
    said = time.monotonic()

    def tell(frames: int) -> None:
        nonlocal said
        if time.monotonic() - said >= _SAID_EVERY_S:
            said = time.monotonic()
            typer.echo(f"{frames} frames", err=True)

    return tell


def _camera_file(request: Request, source: Source, measured: Sequence[Calibration]) -> CameraFile:
    known = measured[0].segment.known_camera
    return CameraFile(
        name=request.name or known or Path(source.info.name).name,
        calibrated=datetime.now(UTC).replace(microsecond=0),
        source=source.info.name,
        dipstream_version=__version__,
        modes=tuple(mode_of(one) for one in measured),
    )


def _report(request: Request, camera: CameraFile, measured: Sequence[Calibration]) -> None:
    console = Console()
    for one in measured:
        console.print(
            f"{camera.name}, channel {one.channel}: {len(one.pairs)} pairs at {one.levels} light "
            "levels",
            style="bold",
            highlight=False,
            soft_wrap=True,
        )
        grid = Table.grid(padding=(0, 2))
        for name, value, unit in _rows(one):
            grid.add_row(name, value, unit)
        console.print(grid)
        for note in notes_of(one):
            console.print(note, style="dim", highlight=False, soft_wrap=True)
    for path in (request.out, request.plot):
        if path is not None:
            typer.echo(f"wrote {path}")


def _rows(one: Calibration) -> list[tuple[str, str, str]]:
    linear = one.linearity_error_percent
    rows: list[tuple[str, Measured | None, str]] = [
        ("offset", one.offset_dn, "DN"),
        ("gain", one.gain_e_per_dn, "e⁻/DN"),
        ("read noise", one.read_noise_e, "e⁻ (rms)"),
        ("saturation", one.saturation_e, "e⁻ (largest variance)"),
        ("full well", one.full_well_e, "e⁻"),
        ("linearity error", linear, "%"),
    ]
    return [
        (name, "–" if value is None else shown(value), "" if value is None else unit)
        for name, value, unit in rows
    ]


def shown(measured: Measured) -> str:
    """Return a value with its standard error, both to the second digit of the error."""
    digits = 0
    while measured.se > 0 and digits < 9 and round(measured.se, digits) < 10 ** (1 - digits):
        digits += 1
    return f"{measured.value:.{digits}f} ± {measured.se:.{digits}f}"


def _summary(
    request: Request, camera: CameraFile, measured: Sequence[Calibration]
) -> dict[str, Any]:
    return {
        "name": camera.name,
        "source": camera.source,
        "channels": [_channel(one) for one in measured],
        "camera_file": None if request.out is None else str(request.out),
        "plot": None if request.plot is None else str(request.plot),
    }


def _channel(one: Calibration) -> dict[str, Any]:
    values = {
        "offset_dn": one.offset_dn,
        "gain_e_per_dn": one.gain_e_per_dn,
        "read_noise_e": one.read_noise_e,
        "saturation_e": one.saturation_e,
        "full_well_e": one.full_well_e,
        "linearity_error_percent": one.linearity_error_percent,
    }
    numbers: dict[str, Any] = {"channel": one.channel}
    for name, measured in values.items():
        numbers[name] = None if measured is None else measured.value
        numbers[f"{name}_se"] = None if measured is None else measured.se
    return numbers | {
        "read_noise_reliable": one.floor.resolved,
        "read_noise_from": one.floor.told_by,
        "dark_from": one.dark.told_by,
        "bit_depth": one.bit_depth,
        "em_gain": one.segment.em_gain,
        "excess_noise": one.excess_noise,
        "excess_noise_from": one.excess_noise_from,
        "adc_limited": one.adc_limited,
        "pairs": len(one.pairs),
        "levels": one.levels,
        "reduced_chi2": one.line.chi2,
        "notes": notes_of(one),
        "warnings": warnings_of(one),
    }
