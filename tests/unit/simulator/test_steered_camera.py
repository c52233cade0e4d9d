"""Orders from outside: one frame an event, as a real microscope would."""

import queue
import threading

import numpy as np
import pytest
import useq

from dipstream.errors import SourceError
from dipstream.source import SteeredSource
from dipstream_simulator import SimSource, open_sim


def camera(**changes: object) -> SimSource:
    return open_sim(**({"n": 12, "width": 128, "height": 96, "fps": 0, "tiles": "1x2"} | changes))  # type: ignore[arg-type]


def test_events_set_channel_exposure_and_stage() -> None:
    source = camera()
    assert isinstance(source, SteeredSource)
    source.steer(
        [
            useq.MDAEvent(index={"t": 0, "c": 1}, channel="GFP", exposure=25),
            useq.MDAEvent(index={"t": 1, "c": 1}, x_pos=-4.0, y_pos=2.5, z_pos=0.5),
            useq.MDAEvent(index={"t": 2, "c": 0}, channel="DAPI", pos_name="corner"),
        ]
    )
    infos = [frame.info for frame in source.frames()]
    assert [info.seq for info in infos] == [0, 1, 2]
    assert [info.channel for info in infos] == ["GFP", "GFP", "DAPI"]
    assert [info.exposure_ms for info in infos] == [25, 25, 25], "what is not said stays"
    assert infos[1].stage_um == infos[2].stage_um == (-4.0, 2.5, 0.5)
    assert [info.position for info in infos] == ["0", "0", "corner"]
    assert [info.t for info in infos] == [0, 1, 2]
    assert dict(infos[0].index) == {"t": 0, "c": 1}


def test_the_image_follows_the_stage_exactly() -> None:
    pixel_um = camera().info.pixel_um
    assert pixel_um is not None
    source = camera(step_um=0.0, noise="exact")
    shift_px = 7
    moved = shift_px * pixel_um
    source.steer(
        [
            useq.MDAEvent(index={"t": 0}, x_pos=0.0, y_pos=0.0),
            useq.MDAEvent(index={"t": 0}, x_pos=moved, y_pos=0.0),
        ]
    )
    list(source.frames())
    one, other = (source.truth(seq).pixels() for seq in (0, 1))  # type: ignore[misc]
    np.testing.assert_allclose(
        one.photons[:, shift_px:], other.photons[:, :-shift_px], rtol=2e-3, atol=1e-2
    )


def test_events_may_come_while_it_runs() -> None:
    source = camera()
    events: queue.Queue[useq.MDAEvent | None] = queue.Queue()
    source.steer(iter(events.get, None))
    taken: list[int | None] = []
    thread = threading.Thread(target=lambda: taken.extend(f.info.seq for f in source.frames()))
    thread.start()
    for t in range(3):
        events.put(useq.MDAEvent(index={"t": t}))
    events.put(None)
    thread.join(60)
    assert taken == [0, 1, 2]


def test_light_that_was_used_is_remembered_by_the_dye() -> None:
    source = camera(bleach_ms=100.0)
    source.steer([useq.MDAEvent(index={"t": k}, exposure=50) for k in range(3)])
    list(source.frames())
    light = [source.truth(seq).pixels().photons.sum() for seq in range(3)]  # type: ignore[misc]
    assert light[1] / light[0] == pytest.approx(np.exp(-0.5), rel=0.1)
    assert light[2] / light[0] == pytest.approx(np.exp(-1.0), rel=0.1)


@pytest.mark.parametrize(
    ("event", "match"),
    [
        (useq.MDAEvent(channel="Cy7"), "allowed are DAPI, GFP"),
        (useq.MDAEvent(exposure=2e6), "exposure_ms"),
        (useq.MDAEvent(x_pos=float("nan")), "x_pos=nan"),
        (useq.MDAEvent(z_pos=float("inf")), "z_pos=inf"),
    ],
)
def test_orders_for_what_there_is_not(event: useq.MDAEvent, match: str) -> None:
    source = camera()
    source.steer([event])
    with pytest.raises(SourceError, match=match):
        list(source.frames())


def test_the_truth_of_what_was_not_ordered() -> None:
    source = camera()
    source.steer([useq.MDAEvent()])
    list(source.frames())
    assert source.truth(0).count > 0
    with pytest.raises(SourceError, match="seq=1"):
        source.truth(1)
