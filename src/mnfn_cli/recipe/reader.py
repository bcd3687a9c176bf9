"""Read the YAML of recipe files and of override values.

Anchors, aliases, tags, several documents and deep nesting are refused. Errors name the line.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mnfn_cli.errors import RecipeError, StorageError
from mnfn_cli.recipe.yaml12 import CoreLoader, compose, scalar_value
from mnfn_cli.regular_files import IrregularFileError, read_regular

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 20

_Place = Callable[[int], str]  # from a line number to what an error calls the place


@dataclass(frozen=True)
class Document:
    """The contents of a recipe file, before they are checked against the schema.

    Attributes:
        content: the sections and values: dicts with text keys, lists, text, numbers, booleans and None.
        faults: errors about duplicate keys and keys that are not text. ``content`` holds the rest of the recipe, so
            that its other faults can be reported together with these.
    """

    content: dict[str, Any]
    faults: tuple[RecipeError, ...] = ()


def read_file(path: Path) -> Document:
    """Read a recipe file.

    Raises:
        RecipeError: the file does not exist, is a folder, is larger than 1 MiB or not UTF-8, or :func:`read_text`
            refuses its text.
        StorageError: the file system refuses to read the file.
    """
    try:
        data = read_regular(path, MAX_BYTES + 1)
    except FileNotFoundError:
        raise RecipeError(path, "no such file") from None
    except IrregularFileError:
        raise RecipeError(path, "a folder, a pipe or a device; a recipe is a file") from None
    except OSError as error:
        raise StorageError(path, f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise RecipeError(path, "larger than 1 MiB, so not a recipe")
    try:
        return read_text(data.decode("utf-8"), str(path))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RecipeError(f"{path}:{line}", "not UTF-8; save the file as UTF-8") from None


def read_text(text: str, where: str) -> Document:
    """Read the text of a recipe; errors name it ``where``.

    Raises:
        RecipeError: the text is not YAML, has an anchor, an alias or a tag, holds no document or several, is nested
            deeper than 20 levels, or has no keys at the top level.

    >>> read_text("optimizer: {lr: 1e-3}", "example.yaml").content
    {'optimizer': {'lr': 0.001}}
    """
    faults: list[RecipeError] = []
    content = _read(text, lambda line: f"{where}:{line}", faults)
    if content is None:
        raise RecipeError(where, "empty; a recipe has keys such as 'version: 1'")
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else "a single value"
        raise RecipeError(where, f"{kind} at the top; a recipe has keys such as 'version: 1' there")
    return Document(content, tuple(faults))


def read_value(text: str, where: str) -> Any:
    """Read one value, such as that after the ``=`` of an override; None for empty text.

    Raises:
        RecipeError: the text is not YAML that :func:`read_text` would accept, or has duplicate keys.

    >>> read_value("[1, 1e4]", "augment.scale")
    [1, 10000.0]
    """
    faults: list[RecipeError] = []
    value = _read(text, lambda line: where, faults)
    if faults:
        raise RecipeError.together(faults)
    return value


def _read(text: str, place: _Place, faults: list[RecipeError]) -> Any:
    try:
        events = _checked_events(text, place)
        root = compose(events)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise RecipeError(place(line), f"the character U+{error.character:04X} is not allowed") from None
    except yaml.MarkedYAMLError as error:
        line = _line(error.problem_mark or error.context_mark)
        raise RecipeError(place(line), _syntax_problem(error)) from None
    except (ValueError, OverflowError):  # PyYAML trips over "\UFFFFFFFF" and over %YAML with a huge version
        raise RecipeError(place(1), "not valid YAML: an escape or a version number out of range") from None
    return None if root is None else _value(root, place, faults)


def _line(mark: Any) -> int:
    """Return the line number of a mark, counted from 1; PyYAML counts from 0 and may give no mark."""
    return 1 if mark is None else mark.line + 1


def _syntax_problem(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or error.context or "unreadable"
    if r"'\t'" in problem:
        return "a tab stands where YAML allows only spaces; indent with spaces"
    return f"not valid YAML: {problem}"


def _checked_events(text: str, place: _Place) -> list[yaml.Event]:
    """Refuse aliases, tags and deep nesting before the YAML is composed, which is recursive and follows aliases."""
    depth = documents = 0
    faults = []
    events = []
    for event in yaml.parse(text, CoreLoader):
        events.append(event)
        where = place(_line(event.start_mark))
        if isinstance(event, yaml.AliasEvent):
            faults.append(RecipeError(where, f"the alias '*{event.anchor}'; write the value out"))
        elif isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            faults.append(RecipeError(where, f"the anchor '&{event.anchor}'; leave it out"))
        if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag is not None:
            faults.append(RecipeError(where, f"the tag '{event.tag}'; leave it out"))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        if depth > MAX_DEPTH:
            raise RecipeError(where, f"nested deeper than {MAX_DEPTH} levels")
        if documents > 1:
            raise RecipeError(where, "a second document begins here; a recipe is one document")
    if faults:
        raise RecipeError.together(faults)
    return events


def _value(node: yaml.Node, place: _Place, faults: list[RecipeError]) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, place, faults) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, place, faults)
    assert isinstance(node, yaml.ScalarNode)
    return scalar_value(node)


def _mapping(node: yaml.MappingNode, place: _Place, faults: list[RecipeError]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key_node, value_node in node.value:
        where = place(_line(key_node.start_mark))
        value = _value(value_node, place, faults)
        key = _value(key_node, place, faults)
        if not isinstance(key, str):
            shown = "a collection" if isinstance(key, dict | list) else f"'{key_node.value}'"
            faults.append(RecipeError(where, f"{shown} stands as a key; keys are words"))
        elif key in content:
            faults.append(RecipeError(where, f"the key '{key}' stands here a second time; keep one"))
        else:
            content[key] = value
    return content
