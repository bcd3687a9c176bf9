"""Translate pydantic's validation errors into plain messages, one for each fault."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mnfn_cli.errors import RecipeError, printable
from mnfn_cli.recipe.declaration import Model
from mnfn_cli.recipe.models import MODELS
from mnfn_cli.recipe.schema import dotted_keys, likely_task

# By pydantic's name of the fault; `{value}` is what the recipe says, the other names are pydantic's own.
_MESSAGES = {
    "missing": "missing",
    "int_type": "a whole number is needed, not {value}",
    "float_type": "a number is needed, not {value}",
    "bool_type": "true or false is needed, not {value}",
    "string_type": "text is needed, not {value}; put it in quotes",
    "string_unicode": "text of whole Unicode characters is needed",
    "string_pattern_mismatch": "the path of a zoo is needed, not {value}",
    "tuple_type": "a list such as [1, 2] is needed, not {value}",
    "finite_number": "a finite number is needed, not {value}",
    "greater_than": "must be above {gt:g}, not {value}",
    "greater_than_equal": "must be at least {ge:g}, not {value}",
    "less_than": "must be below {lt:g}, not {value}",
    "less_than_equal": "must be at most {le}, not {value}",
    "literal_error": "must be {expected}, not {value}",
    "value_error": "{error}",
    "model_type": "a section with keys is needed, not {value}",
    "model_attributes_type": "a section with keys is needed, not {value}",
    "model_name_missing": "missing; the models are {models}",
    "model_name_unknown": "no model is called '{tag}'; the models are {models}",
}


def plain_faults(
    error: ValidationError, document: Mapping[str, Any], where: str, overridden: Collection[str] = ()
) -> list[RecipeError]:
    """Translate a validation error into recipe errors, one for each fault.

    Args:
        error: the error that pydantic raised for the recipe.
        document: the sections and values of the recipe.
        where: the name of the recipe in errors, usually its file.
        overridden: dotted keys that come from overrides; errors about them, or about a whole section that holds one,
            name the override and not the file.
    """
    models, chosen = _models(document)
    faults = []
    for detail in error.errors(include_url=False):
        parts = _path(detail)
        key = ".".join(parts)
        place = f"override {key}" if _concerns(key, overridden) else f"{where}:{key}"
        faults.append(RecipeError(place, _problem(detail, parts, models, chosen)))
    return faults


def _concerns(key: str, overridden: Collection[str]) -> bool:
    return any(f"{key}.".startswith(f"{name}.") or name.startswith(f"{key}.") for name in overridden)


def _path(detail: ErrorDetails) -> list[str]:
    parts = [str(part) for part in detail["loc"]]
    if detail["type"].startswith("model_name"):
        parts.append("name")
    return parts


def _models(document: Mapping[str, Any]) -> tuple[Collection[str], Collection[type[Model]]]:
    """Return the names of the task's models, and the schema of the chosen model, or all schemas if none is chosen."""
    section = document.get("model")
    name = section.get("name") if isinstance(section, dict) else None
    models = MODELS[likely_task(document.get("task"), name)]
    chosen = models.get(name) if isinstance(name, str) else None
    return models.keys(), [chosen] if chosen else models.values()


def _problem(detail: ErrorDetails, parts: list[str], models: Collection[str], chosen: Collection[type[Model]]) -> str:
    if detail["type"] == "extra_forbidden":
        return f"unknown key, {_suggestion(parts, chosen)}"
    if detail["type"] not in _MESSAGES:
        return detail["msg"]
    names = {"value": _shown(detail["input"]), "models": ", ".join(models), **detail.get("ctx", {})}
    return _MESSAGES[detail["type"]].format(**names)


def _suggestion(parts: Sequence[str], models: Iterable[type[Model]]) -> str:
    *section, name = parts
    if "." in name:
        return "a recipe has sections; only overrides have dotted keys"
    known = [key.split(".") for key in dotted_keys(models)]
    siblings = [leaf for *parents, leaf in known if parents == section]
    elsewhere = [".".join(key) for key in known if key[-1] == name]
    near = difflib.get_close_matches(name, siblings, n=1) or elsewhere
    return f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(siblings)}"


def _shown(value: Any) -> str:
    """Return a value as a recipe writes it; a section or a list, which may be long, by its kind only."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case dict():
            return "a section"
        case list() | tuple():
            return "a list"
        case str():
            return f"the text '{printable(value)}'"
        case int() if abs(value) >= 10**20:
            return "a huge number"
        case float():
            return str(value).replace("inf", ".inf").replace("nan", ".nan")
        case _:
            return str(value)
