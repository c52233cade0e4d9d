"""YAML of plain values, from files that anybody may have written: no tags, no tricks, no bulk."""

from typing import Any

import yaml

__all__ = ["MAX_BYTES", "load"]

MAX_BYTES = 200_000
"""Longer texts are no pipeline and no experiment."""
_MOST_NODES = 20_000
_DEEPEST = 40
_LONGEST_NUMBER = 40


class _Loader(yaml.SafeLoader):
    """Safe YAML without keys written twice, which YAML would silently overwrite.

    Aliases count as what they stand for, so that few lines cannot become billions of values.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0
        self._weights: dict[str, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        begin, anchor = self._nodes, event.anchor
        is_alias = isinstance(event, yaml.AliasEvent)
        # An alias to what is still being composed stands for itself, without end.
        self._nodes += self._weights.get(anchor, _MOST_NODES) if is_alias else 1
        if self._nodes > _MOST_NODES or self._depth > _DEEPEST:
            problem = f"more than {_MOST_NODES} values, or more than {_DEEPEST} in each other"
            raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if anchor is not None and not is_alias:
            self._weights[anchor] = self._nodes - begin
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            # As text too, for keys that cannot be in a set; those are refused further on.
            key = self.construct_object(key_node, deep=True)
            told = key if isinstance(key, str | int | float | None) else repr(key)
            if told in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands here a second time", key_node.start_mark
                )
            seen.add(told)
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > _LONGEST_NUMBER:
            problem = f"a number of {len(node.value)} digits"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return int(super().construct_yaml_int(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def load(text: str) -> Any:
    """Return the values of a text; raises `yaml.YAMLError`, which says where the trouble is."""
    if len(text) > MAX_BYTES:
        raise yaml.YAMLError(f"it has {len(text)} characters; at most {MAX_BYTES} are read")
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader
    except (ValueError, OverflowError) as error:  # dates that do not exist
        raise yaml.YAMLError(str(error)) from error
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error
