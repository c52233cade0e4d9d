"""The callable: corrected pixels, labels, rows for one image set."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xxhash

from dipstream.config import RingConfig, near
from dipstream.errors import ConfigError, StepError
from dipstream.frame import Frame, FrameInfo, ImageSet, Pixels, Segment, SetKey
from dipstream.pipeline.analysis import Analysis, FreshStates, Ordered
from dipstream.pipeline.bound import BoundStep, Segmentation
from dipstream.pipeline.chain import chain_of, function_of
from dipstream.pipeline.keys import KEY_COLUMNS, key_values
from dipstream.steps.fast import fast
from dipstream.steps.image import Image, Labels, Mask
from dipstream.steps.objects import Links, Objects
from dipstream.steps.quality import frame_quality, reference_quality
from dipstream.steps.segment.ring import ring_labels
from dipstream.steps.segment.split import split
from dipstream.steps.step import State
from dipstream.table import Column, RowBatch, Schema

__all__ = ["Pipeline"]

_CORNER = 64


class Pipeline:
    """A plan for known channels. Pure but for the turns of ordered corrections; thread-safe.

    With `reference`, every step that has a twin is what defines it, and nothing is fused.
    """

    def __init__(
        self,
        *,
        channels: tuple[str, ...],
        correct: Sequence[BoundStep],
        objects: Mapping[str, Segmentation | RingConfig],
        measure: Sequence[BoundStep],
        track: Mapping[str, BoundStep],
        project_z: bool,
        reference: bool = False,
    ) -> None:
        if not channels:
            raise ConfigError("a pipeline needs at least one channel; the source names none")
        self.channels = channels
        self.track = track
        self._correct = correct
        self._objects = objects
        self._measure = measure
        self._project_z = project_z
        self._reference = reference
        self._corrections = [function_of(bound, reference=reference) for bound in correct]
        self._chains = {
            kind: chain_of(how.steps, reference=reference)
            for kind, how in objects.items()
            if isinstance(how, Segmentation)
        }
        self._measures = [function_of(bound, reference=reference) for bound in measure]
        self._regions = split if reference else fast(split)
        self._check_channels()
        self.schemas = {kind: self._schema() for kind in objects}

    @property
    def kinds(self) -> tuple[str, ...]:
        """The types of objects, in the order of the file."""
        return tuple(self._objects)

    def channel_of(self, kind: str) -> str:
        """Return the channel a type of object is segmented in (a ring: that of its centre)."""
        found = self._objects[kind]
        if isinstance(found, RingConfig):
            return self.channel_of(found.around)
        return found.channel or self.channels[0]

    def analyse(self, image_set: ImageSet, ordered: Ordered | None = None) -> Analysis:
        """Analyse one set; raises `StepError` if its pixels cannot be used."""
        frames = image_set.frames
        depth = image_set.segment.bit_depth
        judge = reference_quality if self._reference else frame_quality
        quality = tuple(judge(frame.data, depth) for frame in frames)
        hashes = tuple(_content_hash(frame.data) for frame in frames)
        images, states = self._corrected(image_set, ordered or FreshStates())
        labels = self._segmented(images)
        segmented_ns = time.time_ns()
        tables = {kind: self._rows(kind, labels[kind], images, image_set) for kind in labels}
        return Analysis(
            image_set=image_set,
            quality=quality,
            content_hashes=hashes,
            tables=tables,
            labels=labels,
            estimates=_estimates(
                images,
                {k: v for k, v in labels.items() if isinstance(self._objects[k], Segmentation)},
            ),
            states=states,
            segmented_ns=segmented_ns,
        )

    def rehearse(self, segment: Segment) -> None:
        """Go through everything once, to see what cannot work before it has to.

        Raises whatever the steps raise: a reference file that does not fit, µm without a known
        pixel size. After the corrections a corner is enough. There is something to see in it, so
        that every kernel is compiled, or loaded, before the first frame.
        """
        seen = _rehearsal_pixels(segment)
        frame_quality(seen, segment.bit_depth)
        frames = tuple(Frame(seen, FrameInfo(segment, channel)) for channel in self.channels)
        key = SetKey(0, "0", 0, 0)
        image_set = ImageSet(0, key, frames, tuple(range(len(frames))), self.channels)
        images, _ = self._corrected(image_set, FreshStates())
        corners = {name: image.corner(_CORNER) for name, image in images.items()}
        for kind, labels in self._segmented(corners).items():
            rows = self._rows(kind, labels, corners, image_set)
            if kind in self.track:
                self.link(kind, None, rows, image_set, 1)

    def link(
        self, kind: str, state: State | None, rows: RowBatch, image_set: ImageSet, free_id: int
    ) -> tuple[State, Links]:
        """Let the tracker of a type of object link this set to those before it."""
        objects = Objects(
            set_id=image_set.set_id,
            t=image_set.key.t,
            y_px=rows.column("y_px"),
            x_px=rows.column("x_px"),
            features=rows.values,
            pixel_um=image_set.segment.pixel_um,
            next_track_id=free_id,
        )
        new_state, links = self.track[kind](state, objects)
        return new_state, links

    def _corrected(
        self, image_set: ImageSet, ordered: Ordered
    ) -> tuple[dict[str, Image], dict[tuple[str, str], State]]:
        images: dict[str, Image] = {}
        for channel in self.channels:
            pixels = image_set.pixels(channel)
            if pixels is not None:
                images[channel] = self._image(channel, pixels, image_set)
        states: dict[tuple[str, str], State] = {}
        for bound, correction in zip(self._correct, self._corrections, strict=True):
            if not bound.ordered:
                for name, image in images.items():
                    if bound.only is None or name in bound.only:
                        images[name] = correction(image)
                continue
            with ordered.turn(bound.key, image_set) as cell:
                chosen = {n: i for n, i in images.items() if bound.only is None or n in bound.only}
                state, corrected = bound(cell.state, chosen)
                images.update(corrected)
                if state is not cell.state:
                    cell.state = state
                    states[bound.key, image_set.key.place] = state
        return images, states

    def _image(self, channel: str, pixels: Pixels, image_set: ImageSet) -> Image:
        if self._project_z and pixels.ndim == 3:
            pixels = pixels.max(axis=0)
        segment = image_set.segment
        camera = segment.known_camera
        return Image(
            pixels,
            channel=channel,
            bit_depth=segment.bit_depth,
            pixel_um=segment.pixel_um,
            offset_dn=segment.offset_dn,
            gain_e_per_dn=segment.gain_e_per_dn,
            em_gain=segment.em_gain,
            camera=camera,
            binning=None if camera is None else segment.binning,
        )

    def _segmented(self, images: Mapping[str, Image]) -> dict[str, Labels]:
        labels: dict[str, Labels] = {}
        for kind, how in self._objects.items():
            if isinstance(how, RingConfig):
                continue
            channel = self.channel_of(kind)
            if channel not in images:
                raise StepError(
                    f"the channel {channel!r}, in which {kind} are segmented, is missing from "
                    f"this image set (it has {', '.join(images) or 'none'}); nothing was measured"
                )
            labels[kind] = self._segment(images[channel], self._chains[kind])
        for kind, how in self._objects.items():
            if isinstance(how, RingConfig):
                labels[kind] = ring_labels(
                    labels[how.around], inner_px=how.inner_px, outer_px=how.outer_px
                )
        return {kind: labels[kind] for kind in self._objects}

    def _segment(self, image: Image, chain: Sequence[Callable[..., Any]]) -> Labels:
        current: Image | Mask | Labels = image
        for step in chain:
            current = step(current)
        if isinstance(current, Mask):
            current = self._regions(current, method="none")
        if not isinstance(current, Labels):
            raise StepError(
                f"the segmentation ended with {type(current).__name__}, not with objects"
            )
        return current

    def _rows(
        self, kind: str, labels: Labels, images: Mapping[str, Image], image_set: ImageSet
    ) -> RowBatch:
        values = key_values(labels, image_set)
        for measured in self._measures:
            values.update(measured(labels, images))
        return RowBatch(self.schemas[kind], values)

    def _schema(self) -> Schema:
        columns: list[Column] = list(KEY_COLUMNS)
        for bound in self._measure:
            columns_of = bound.step.mark.columns
            if columns_of is not None:
                promised = columns_of(self.channels, **bound.parameters)
                columns += [
                    replace(column, step=bound.step.name, unit=self._unit(column))
                    for column in promised
                ]
        try:
            return Schema(tuple(columns))
        except ValueError as error:
            raise ConfigError(f"measure: {error}; list each step and channel once") from error

    def _unit(self, column: Column) -> str:
        """Return a column's unit; that of pixel values is what the corrections leave."""
        if column.unit != "DN" or not column.channel:
            return column.unit
        units = [
            bound.step.mark.unit
            for bound in self._correct
            if bound.step.mark.unit is not None
            and (bound.only is None or column.channel in bound.only)
        ]
        return units[-1] if units else "DN"

    def _check_channels(self) -> None:
        for kind, how in self._objects.items():
            if not isinstance(how, RingConfig) and how.channel is not None:
                self._check_channel(how.channel, f"objects.{kind}.channel")
        for bound in (*self._correct, *self._measure):
            named = [bound.parameters.get("channel"), *(bound.parameters.get("channels") or ())]
            for name in (*named, *(bound.only or ())):
                if name is not None:
                    self._check_channel(str(name), bound.key)

    def _check_channel(self, name: str, where: str) -> None:
        if name not in self.channels:
            raise ConfigError(
                f"{where}: the channel {name!r} is not there; the source has "
                f"{', '.join(self.channels)}{near(name, self.channels)}. Correct the pipeline, or "
                "name the source's channels with --channels"
            )


def _rehearsal_pixels(segment: Segment) -> Pixels:
    """Return a frame that is dark but for two bright discs which touch, in its first corner."""
    pixels = np.zeros(segment.shape, segment.dtype)
    y, x = np.mgrid[: min(_CORNER, segment.shape[0]), : min(_CORNER, segment.shape[1])]
    discs = ((y - 30) ** 2 + (x - 20) ** 2 <= 100) | ((y - 30) ** 2 + (x - 38) ** 2 <= 100)
    pixels[:_CORNER, :_CORNER][discs] = 100
    return pixels


def _content_hash(pixels: Pixels) -> str:
    return xxhash.xxh3_64_hexdigest(np.ascontiguousarray(pixels).data)


def _estimates(images: Mapping[str, Image], labels: Mapping[str, Labels]) -> dict[str, float]:
    found: dict[str, float] = {}
    for image in images.values():
        found.update(image.estimates)
    shared = dict(found)
    for kind, one in labels.items():
        found.update({f"{kind}_{k}": v for k, v in one.estimates.items() if k not in shared})
    return found
