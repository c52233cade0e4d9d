"""What is really there: the truth about every shot, in any order and from any thread."""

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from dipstream.errors import SourceError
from dipstream.source import SourceTruth, TruthPixels
from dipstream_simulator.acquisition import Shot
from dipstream_simulator.bench import Bench, Setup
from dipstream_simulator.render import Renderer, SceneTruth, View

__all__ = ["Oracle", "cropped"]

_SCENES_KEPT = 8


class Oracle:
    """Knows the truth about every shot; may be asked from any thread.

    Parameters
    ----------
    setup
        What is on the table.
    bench
        A bench of its own, for what the pixels held.
    """

    def __init__(self, setup: Setup, bench: Bench) -> None:
        self._setup = setup
        self._lock = threading.Lock()
        self._bench = bench
        b = setup.binning
        self._renderer = Renderer(
            setup.specimen.fork(),
            setup.microscope,
            shape=(setup.roi_shape[0] // b, setup.roi_shape[1] // b),
            pixel_um=setup.pixel_um * b,
        )
        self._scenes: dict[tuple[int, View], SceneTruth] = {}

    def truth(self, shot: Shot) -> SourceTruth:
        """Return what this shot shows, in a whole frame."""
        with self._lock:
            scene = self._scene(shot.t, self._setup.view(shot))
        return SourceTruth(
            labels=scene.labels,
            track_ids=scene.track_ids,
            parent_ids=scene.parent_ids,
            y_um=scene.y_um,
            x_um=scene.x_um,
            z_um=scene.z_um,
            drift_um=self._setup.stage.error_um(shot),
            pixels=self._pixels(shot),
        )

    def _scene(self, t: int, view: View) -> SceneTruth:
        key = (t, view)
        if key not in self._scenes:
            while len(self._scenes) >= _SCENES_KEPT:
                del self._scenes[next(iter(self._scenes))]
            self._scenes[key] = self._renderer.truth(t, view)
        return self._scenes[key]

    def _pixels(self, shot: Shot) -> Callable[[], TruthPixels]:
        def compute() -> TruthPixels:
            with self._lock:
                exposed = self._bench.expose(shot, with_electrons=True)
                photons = self._bench.expected_photons(shot)
            if exposed.electrons is None or exposed.saturated is None:
                raise SourceError("the simulated camera did not say what its pixels held")
            return TruthPixels(photons, exposed.electrons, exposed.saturated)

        return compute


def cropped(truth: SourceTruth, rows: int) -> SourceTruth:
    """Return the truth of the first rows of a frame; objects without a pixel there are gone."""
    kept = truth.labels[:rows]
    seen = np.unique(kept[kept > 0])
    renumbered = np.zeros(truth.count + 1, dtype=np.int32)
    renumbered[seen] = np.arange(1, len(seen) + 1)
    place = seen - 1

    def pixels() -> TruthPixels:
        whole = truth.pixels() if truth.pixels is not None else None
        if whole is None:
            raise SourceError("the simulated camera did not say what its pixels held")
        return TruthPixels(whole.photons[:rows], whole.electrons[:rows], whole.saturated[:rows])

    return replace(
        truth,
        labels=renumbered[kept],
        track_ids=truth.track_ids[place],
        parent_ids=truth.parent_ids[place],
        y_um=truth.y_um[place],
        x_um=truth.x_um[place],
        z_um=truth.z_um[place],
        pixels=None if truth.pixels is None else pixels,
    )
