"""What steps get and give, as a header of plain values and a list of arrays; and back again.

This is how a step of another package is called in its own process: nothing is pickled, and what
comes back can only be one of the kinds that are known here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dipstream.errors import StepError
from dipstream.steps.image import Image, Labels, Mask
from dipstream.steps.objects import Links, Objects, TrackEvents

__all__ = ["Array", "pack", "unpack"]

Array: TypeAlias = npt.NDArray[Any]
Node: TypeAlias = dict[str, Any]

_IMAGE = ("channel", "bit_depth", "offset_dn", "gain_e_per_dn", "em_gain", "camera", "binning")
_OBJECTS = ("set_id", "t", "pixel_um", "next_track_id")
_EVENTS = tuple(column.name for column in fields(TrackEvents))


def pack(value: Any, arrays: list[Array]) -> Node:
    """Return the header of a value, and append its arrays; raises `StepError` for other kinds."""
    for kind, packed in _PACKED.items():
        if isinstance(value, kind):
            return packed(value, arrays)
    return {"is": "none"} if value is None else _pack_array(np.asarray(value), arrays)


def unpack(node: Node, arrays: Sequence[Array]) -> Any:
    """Return the value of a header; raises `KeyError`, `TypeError` or so if it makes no sense."""
    return _UNPACKED[node["is"]](node, arrays)


def _pack_plane(value: Image | Mask | Labels, arrays: list[Array]) -> Node:
    about: Node = {
        "pixel_um": value.pixel_um,
        "estimates": {name: float(number) for name, number in value.estimates.items()},
    }
    if isinstance(value, Image):
        data, kind = value.pixels, "image"
        about |= {name: getattr(value, name) for name in _IMAGE}
    else:
        data, kind = value.dense, "mask" if isinstance(value, Mask) else "labels"
    return {**about, "is": kind, "data": _pack_array(np.asarray(data), arrays)}


def _pack_objects(value: Objects, arrays: list[Array]) -> Node:
    about = {name: getattr(value, name) for name in _OBJECTS}
    columns = pack({"y_px": value.y_px, "x_px": value.x_px}, arrays)
    return {"is": "objects", **about, "yx": columns, "features": pack(value.features, arrays)}


def _pack_links(value: Links, arrays: list[Array]) -> Node:
    events = pack({name: getattr(value.events, name) for name in _EVENTS}, arrays)
    return {"is": "links", "events": events, "ids": pack({"ids": value.track_ids}, arrays)}


def _pack_mapping(value: Mapping[Any, Any], arrays: list[Array]) -> Node:
    return {"is": "map", "items": [[str(name), pack(one, arrays)] for name, one in value.items()]}


def _pack_tuple(value: tuple[Any, ...], arrays: list[Array]) -> Node:
    return {"is": "tuple", "items": [pack(one, arrays) for one in value]}


def _pack_array(array: Array, arrays: list[Array]) -> Node:
    if array.dtype.kind == "U" or (
        array.dtype.kind == "O" and all(isinstance(one, str) for one in array.flat)
    ):
        return {"is": "texts", "shape": array.shape, "texts": array.ravel().tolist()}
    if array.dtype.kind not in "buifc":
        raise StepError(
            f"a step of another package gave values of type {array.dtype}; allowed are numbers, "
            "texts, Image, Mask, Labels, Objects, Links, and mappings of these"
        )
    arrays.append(array)
    return {"is": "array", "number": len(arrays) - 1}


_PACKED: Mapping[Any, Callable[[Any, list[Array]], Node]] = {
    Image: _pack_plane,
    Mask: _pack_plane,
    Labels: _pack_plane,
    Objects: _pack_objects,
    Links: _pack_links,
    Mapping: _pack_mapping,
    tuple: _pack_tuple,
}


def _unpack_array(node: Node, arrays: Sequence[Array]) -> Array:
    array = arrays[node["number"]]
    array.setflags(write=False)
    return array


def _unpack_texts(node: Node, arrays: Sequence[Array]) -> Array:
    del arrays
    return np.array(node["texts"], dtype=np.str_).reshape(node["shape"])


def _unpack_mapping(node: Node, arrays: Sequence[Array]) -> dict[str, Any]:
    return {str(name): unpack(one, arrays) for name, one in node["items"]}


def _unpack_tuple(node: Node, arrays: Sequence[Array]) -> tuple[Any, ...]:
    return tuple(unpack(one, arrays) for one in node["items"])


def _unpack_objects(node: Node, arrays: Sequence[Array]) -> Objects:
    about = {name: node[name] for name in _OBJECTS}
    columns = unpack(node["yx"], arrays)
    return Objects(**about, **columns, features=unpack(node["features"], arrays))


def _unpack_links(node: Node, arrays: Sequence[Array]) -> Links:
    events = unpack(node["events"], arrays)
    columns = {name: np.asarray(events[name]) for name in _EVENTS}
    return Links(unpack(node["ids"], arrays)["ids"], TrackEvents(**columns))


def _about_plane(node: Node) -> dict[str, Any]:
    estimates = {str(name): float(number) for name, number in node["estimates"].items()}
    return {"pixel_um": node["pixel_um"], "estimates": estimates}


def _unpack_image(node: Node, arrays: Sequence[Array]) -> Image:
    about = {**_about_plane(node), **{name: node[name] for name in _IMAGE}}
    return Image(unpack(node["data"], arrays), **about)


def _unpack_mask(node: Node, arrays: Sequence[Array]) -> Mask:
    return Mask(unpack(node["data"], arrays), **_about_plane(node))


def _unpack_labels(node: Node, arrays: Sequence[Array]) -> Labels:
    return Labels(unpack(node["data"], arrays), **_about_plane(node))


_UNPACKED: Mapping[str, Callable[[Node, Sequence[Array]], Any]] = {
    "none": lambda _node, _arrays: None,
    "array": _unpack_array,
    "texts": _unpack_texts,
    "map": _unpack_mapping,
    "tuple": _unpack_tuple,
    "objects": _unpack_objects,
    "links": _unpack_links,
    "image": _unpack_image,
    "mask": _unpack_mask,
    "labels": _unpack_labels,
}
