"""How much is measured: everything, or a small form that is through in a minute."""

from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "Effort", "Size"]

Size = tuple[int, int]
"""Side of a frame in px, and nuclei in it."""


@dataclass(frozen=True, slots=True)
class Effort:
    """Sizes and repetitions.

    Attributes
    ----------
    chain, stages
        Frames of the whole chain and of the breakdown into stages.
    field, small
        The frame that features are measured in and that is played to a run, and a smaller one.
    linked
        Frames whose objects are linked; the second number is how many move.
    simulated
        Frames of the simulator.
    rounds
        Of everything that is compared in turns.
    seconds
        How long a rate is measured.
    memory_frames
        Length of the run whose memory is watched.
    pair
        Whether the workshop's pair is measured.
    """

    chain: tuple[Size, ...]
    stages: tuple[Size, ...]
    field: Size
    small: Size
    linked: tuple[Size, ...]
    simulated: tuple[Size, ...]
    rounds: int
    seconds: float
    memory_frames: int
    pair: bool = True

    @property
    def quick(self) -> bool:
        """Whether figures are rough: no more than a sign that everything works."""
        return self.rounds < FULL.rounds


FULL = Effort(
    chain=((512, 100), (1024, 800), (2048, 100), (2048, 800), (2048, 3000)),
    stages=((2048, 800), (512, 100)),
    field=(2048, 800),
    small=(512, 60),
    linked=((2048, 800), (2048, 3000)),
    simulated=((2048, 800), (512, 60)),
    rounds=7,
    seconds=8.0,
    memory_frames=4000,
)
QUICK = Effort(
    chain=((512, 100),),
    stages=((256, 25),),
    field=(512, 100),
    small=(256, 15),
    linked=((512, 100),),
    simulated=((256, 15),),
    rounds=2,
    seconds=1.0,
    memory_frames=1000,
)
