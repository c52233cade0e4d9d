"""Nuclei that grow, move, divide and die."""

import math

import numpy as np

from dipstream_simulator.limits import require_between
from dipstream_simulator.specimen.atlas import Body, Moment, make_atlas
from dipstream_simulator.specimen.habits import Habits
from dipstream_simulator.specimen.individuals import dna_channels
from dipstream_simulator.specimen.living import Living
from dipstream_simulator.specimen.model import CHANNELS, Channel
from dipstream_simulator.specimen.nucleus import Look, Nucleus, random_nucleus
from dipstream_simulator.specimen.outline import Outline, random_outline
from dipstream_simulator.specimen.remains import random_remains
from dipstream_simulator.specimen.walk import Motion

__all__ = ["DEATHS", "GROWN", "MITOSES", "SHRUNKEN", "condensed", "nuclei", "packed", "shrunken"]

MITOSES, DEATHS = 12, 6
"""Distinct divisions, each with its own direction, and distinct deaths."""

SHRUNKEN = (0.78, 0.62)
"""Diameters of a dying nucleus, relative to a typical one."""

GROWN = 2.0**0.25
"""Diameter just before a division, relative to a typical one: the area is √2 times as large."""

_FREE_PROTEIN = 0.4  # in mitosis it leaves the chromosomes for the rest of the cell
_PLATE_WOBBLE = np.array([0.03, 0.03, 0.12, 0.03, 0.03])


def nuclei(
    seed: int,
    n: int,
    *,
    extent_um: tuple[float, float],
    channels: tuple[Channel, ...] = (CHANNELS["DAPI"], CHANNELS["GFP"]),
    nucleus_um: float = 10.0,
    motion: Motion = "persistent",
    step_um: float = 0.8,
    drift_um: tuple[float, float] = (0.0, 0.0),
    overlap: float = 0.0,
    z_spread_um: float = 0.0,
    contrast: float = 1.0,
    cycle_t: int = 0,
    death_rate: float = 0.0,
    grow: float = 0.0,
    negative: float = 0.2,
) -> Living:
    """Put nuclei on the stage.

    DNA content varies by 20 % (lognormal). Expression is lognormal with σ = 0.6 and independent
    of it; a share of the nuclei express next to nothing. A dividing nucleus keeps its DNA: it
    packs it, shines brighter, and leaves half to each of two daughters, new tracks with it as
    their parent. Beyond 1.5 times the first number, or when half of the extent is covered,
    divisions pause. A dying nucleus shrinks, shines brighter, breaks and fades within 8 time
    points; then its track ends.

    Parameters
    ----------
    seed
        The same parameters give the same nuclei.
    n
        How many at first, 0 to 20000.
    extent_um
        Height and width in µm; they stay whole within it.
    channels
        What they are seen in. DAPI shows the DNA, the others proteins.
    nucleus_um
        Typical diameter in µm, 2 to 50.
    motion
        "persistent": each keeps its direction for some time; "diffusion"; "drift": all begin
        with the velocity `drift_um`, and diffuse; "still".
    step_um
        Root mean square displacement from one time point to the next, in µm, 0 to 20; in a
        drift, of the diffusion alone.
    drift_um
        Velocity (y, x) in µm a time point, with motion "drift". The walls turn it round.
    overlap
        Share, 0 to 1, of those that lie over or under others; the rest make room.
    z_spread_um
        Standard deviation of their height, in µm.
    contrast
        Of their texture: 0 = none, 1 = natural, up to 2.
    cycle_t
        Time points from birth to division, on average, at least 10; 0 = none divides.
    death_rate
        Chance to begin dying, for each nucleus and time point.
    grow
        Growth of the area a time point, relative to that at birth, of nuclei that do not
        divide, up to 0.1; it ends when the area has doubled.
    negative
        Share, 0 to 1, of nuclei that express next to nothing, for each protein by itself.

    Raises
    ------
    SourceError
        If a value is outside its limits, or if two of them contradict each other.
    """
    habits = Habits(
        seed=seed,
        n=n,
        extent_um=extent_um,
        channels=channels,
        motion=motion,
        step_um=step_um,
        drift_um=drift_um,
        overlap=overlap,
        z_spread_um=z_spread_um,
        contrast=contrast,
        cycle_t=cycle_t,
        death_rate=death_rate,
        grow=grow,
        negative=negative,
    )
    require_between("nucleus_um", nucleus_um, 2.0, 50.0, example=10)
    rng = np.random.default_rng([seed, 1])
    names = tuple(channel.name for channel in channels)
    drawn = (random_nucleus(rng, nucleus_um, names, contrast=contrast) for _ in range(habits.forms))
    # In the order of size: daughters are drawn like their mothers.
    forms = sorted(drawn, key=lambda form: form.area_um2) if cycle_t else list(drawn)
    divisions: list[Moment] = []
    for which in range(MITOSES if cycle_t else 0):
        divisions += [
            Moment(condensed(rng, nucleus_um, names, contrast), GROWN**2, _FREE_PROTEIN),
            Moment(packed(rng, nucleus_um, names, which), GROWN**2, _FREE_PROTEIN),
            Moment(packed(rng, nucleus_um, names, which, half=True), GROWN**2 / 2.0, 0.6),
        ]
    deaths: list[Moment] = []
    for _ in range(DEATHS if death_rate else 0):
        bodies: list[Body] = [shrunken(rng, size * nucleus_um, names) for size in SHRUNKEN]
        bodies.append(random_remains(rng, 0.75 * nucleus_um, len(names)))
        deaths += [Moment(body, 1.0, 1.2) for body in bodies]
    atlas = make_atlas(forms, habits.sizes, dna_channels(channels), divisions, deaths)
    return habits.populate(atlas, nucleus_um)


def condensed(
    rng: np.random.Generator, nucleus_um: float, names: tuple[str, ...], contrast: float
) -> Nucleus:
    """Draw a grown nucleus whose chromosomes have condensed: smaller, round and clumpy."""
    outline = random_outline(
        rng, 0.8 * GROWN * nucleus_um, spread=0.03, stretch=1.1, wobble=(0.02, 0.03, 0.03, 0.03)
    )
    return Nucleus(outline, int(rng.integers(2**32)), names, Look.CONDENSED, contrast)


def packed(
    rng: np.random.Generator,
    nucleus_um: float,
    names: tuple[str, ...],
    which: int,
    *,
    half: bool = False,
) -> Nucleus:
    """Draw chromosomes side by side: all of them, or the half that goes to a daughter."""
    long_um, short_um = (0.38, 0.13) if half else (0.46, 0.17)
    ripples = len(_PLATE_WOBBLE)
    outline = Outline(
        major_um=long_um * GROWN * nucleus_um,
        minor_um=short_um * GROWN * nucleus_um,
        angle_rad=math.pi * which / MITOSES,
        wobble=tuple((_PLATE_WOBBLE * rng.uniform(0.5, 1.0, ripples)).tolist()),
        wobble_phase_rad=(
            *rng.uniform(-math.pi, math.pi, 2).tolist(),
            math.pi,  # order 4: blunt ends
            *rng.uniform(-math.pi, math.pi, ripples - 3).tolist(),
        ),
    )
    return Nucleus(outline, int(rng.integers(2**32)), names, Look.PLATE)


def shrunken(rng: np.random.Generator, diameter_um: float, names: tuple[str, ...]) -> Nucleus:
    """Draw the round, smooth nucleus of a dying cell."""
    outline = random_outline(rng, diameter_um, spread=0.05, stretch=1.2, wobble=(0.03, 0.03))
    return Nucleus(outline, int(rng.integers(2**32)), names, Look.PYKNOTIC)
