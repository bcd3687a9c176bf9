"""A loader and a dumper for PyYAML that follow the core schema of YAML 1.2.

PyYAML by default follows YAML 1.1, in which ``1e-3`` is text, ``no`` is false and ``010`` is eight.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import yaml

_PREFIX = "tag:yaml.org,2002:"

# An integer with a leading zero stays text: `010` is 8 to some readers and 10 to others. So does one of a
# hundred digits or more: Python converts only so many. Where a number is needed, the schema refuses text.
_PATTERNS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(0|[1-9][0-9]{0,98})|0o[0-7]{1,99}|0x[0-9a-fA-F]{1,99}", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?"
        r"|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}


class CoreLoader(yaml.SafeLoader):
    """Loads text as YAML nodes with the tags of the core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own way


class _EventComposer(CoreLoader):
    """Composes nodes of events that were parsed before."""

    def __init__(self, events: Iterable[yaml.Event]) -> None:
        super().__init__("")
        self._events = deque(events)

    def check_event(self, *choices: Any) -> bool:
        return bool(self._events) and (not choices or isinstance(self._events[0], choices))

    def peek_event(self) -> yaml.Event:
        return self._events[0]

    def get_event(self) -> yaml.Event:
        return self._events.popleft()


class CoreDumper(yaml.SafeDumper):
    """Writes plain values so that :class:`CoreLoader` reads the same values back."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _name, (_pattern, _first) in _PATTERNS.items():
    for _class in (CoreLoader, CoreDumper):
        _class.add_implicit_resolver(_PREFIX + _name, re.compile(rf"(?:{_pattern})\Z"), _first)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Outside double quotes PyYAML folds rare line breaks, such as U+0085, into spaces.
    return dumper.represent_scalar(f"{_PREFIX}str", text, style=None if text.isprintable() else '"')


CoreDumper.add_representer(str, _represent_text)


def _integer(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    return int(text, base)


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_VALUES: dict[str, Callable[[str], Any]] = {
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": _integer,
    "float": _float,
    "str": str,
}


def compose(events: Iterable[yaml.Event]) -> yaml.Node | None:
    """Return the root node of the only document among the events of ``yaml.parse``; None if there is no document.

    >>> compose(yaml.parse("1e-3", CoreLoader)).tag
    'tag:yaml.org,2002:float'
    """
    return _EventComposer(events).get_single_node()


def scalar_value(node: yaml.ScalarNode) -> Any:
    """Return the value of a scalar node of :class:`CoreLoader`.

    >>> [scalar_value(yaml.compose(text, CoreLoader)) for text in ("1e-3", "no", "010", "0o10", "true")]
    [0.001, 'no', '010', 8, True]
    """
    return _VALUES[node.tag.removeprefix(_PREFIX)](node.value)
