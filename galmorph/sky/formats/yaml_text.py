"""YamlText: the YAML with which astropy describes tables, looked at before it is made objects of.

An alias stands for all that its anchor holds, and anchors may hold aliases: ten lines stand for a billion values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml

__all__ = ["check_yaml"]

_ALIAS = re.compile(r"(?:^|[\s\[{,:-])\*[A-Za-z0-9_-]")
_MOST_BYTES = 8 << 20
_MOST_NODES = 200_000
"""Values that all aliases may stand for: ten times those of a header of 999 columns."""


def check_yaml(lines: Sequence[str]) -> None:
    """Refuse a text that is too long, or whose aliases stand for too much; one without aliases is not parsed.

    Raises
    ------
    ValueError
        If so.
    yaml.YAMLError
        If it is no YAML.
    """
    if sum(map(len, lines)) > _MOST_BYTES:
        raise ValueError(f"its YAML header has more than {_MOST_BYTES >> 20} MiB, expected a few lines for each column")
    if not any(_ALIAS.search(line) for line in lines):
        return
    root = yaml.compose("\n".join(lines), Loader=yaml.SafeLoader)
    if root is not None and _values(root, {}) > _MOST_NODES:
        raise ValueError(f"the aliases of its YAML header stand for more than {_MOST_NODES} values, expected a few")


def _values(node: yaml.Node, counts: dict[int, int]) -> int:
    """Count the values of a node with all that its aliases stand for; a node inside itself has too many."""
    if id(node) not in counts:
        counts[id(node)] = _MOST_NODES + 1
        inner = [each for pair in node.value for each in pair] if isinstance(node, yaml.MappingNode) else node.value
        inner = [] if isinstance(node, yaml.ScalarNode) else inner
        counts[id(node)] = 1 + sum(_values(each, counts) for each in inner)
    return counts[id(node)]
