"""YamlText: the YAML with which astropy describes tables, looked at before it is made objects of.

An alias stands for all that its anchor holds, and anchors may hold aliases: ten lines stand for a billion values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml

from galmorph.limits import LIMITS

__all__ = ["check_yaml"]

_ALIAS = re.compile(r"(?:^|[\s\[{,:-])\*[A-Za-z0-9_-]")


def check_yaml(lines: Sequence[str]) -> None:
    """Refuse a text that is too long, or whose aliases stand for too much; one without aliases is not parsed.

    Raises
    ------
    ValueError
        If so.
    yaml.YAMLError
        If it is no YAML.
    """
    most, most_values = LIMITS["yaml_bytes"], LIMITS["yaml_values"]
    if sum(map(len, lines)) > most.number:
        raise ValueError(f"its YAML header has more bytes than {most}, expected a few lines for each column")
    if not any(_ALIAS.search(line) for line in lines):
        return
    root = yaml.compose("\n".join(lines), Loader=yaml.SafeLoader)
    if root is not None and _values(root, {}, most_values.number) > most_values.number:
        raise ValueError(f"the aliases of its YAML header stand for more values than {most_values}, expected a few")


def _values(node: yaml.Node, counts: dict[int, int], most: int) -> int:
    """Count the values of a node with all that its aliases stand for; a node inside itself has too many."""
    if id(node) not in counts:
        counts[id(node)] = most + 1
        inner = [each for pair in node.value for each in pair] if isinstance(node, yaml.MappingNode) else node.value
        inner = [] if isinstance(node, yaml.ScalarNode) else inner
        counts[id(node)] = 1 + sum(_values(each, counts, most) for each in inner)
    return counts[id(node)]
