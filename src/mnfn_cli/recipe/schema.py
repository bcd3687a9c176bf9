"""What a recipe may say: one closed, frozen model per section.

The sections hold plain numbers, texts and tuples. What they mean is for the engine; nothing here imports it.
"""

import difflib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SerializeAsAny,
    ValidationInfo,
    WrapValidator,
    field_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from mnfn_cli.recipe.models import MODELS, Model
from mnfn_cli.recipe.sections import (
    Activation,
    Count,
    Positive,
    Real,
    Section,
    Seed,
    Tally,
    ZooPaths,
    two,
)
from mnfn_cli.symmetry import GROUP_NAMES, GROUP_OF_ACTIVATION, LAYER_ACTIVATIONS
from mnfn_cli.task_list import TASKS


def _this_version(value: object) -> object:
    if type(value) is not int or value != 1:  # to Python, true and 1.0 are 1
        raise ValueError("this mnfn reads recipes of version 1 only; write 'version: 1'")
    return value


def _ascending(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"the lowest scale comes first, so [{value[1]:g}, {value[0]:g}]")
    return value


class Data(Section):
    """The zoos to learn from, which activation their networks must have for this recipe, and which edit to learn."""

    model_config = ConfigDict(revalidate_instances="always")  # a recipe without the section meets the same checks

    zoo: ZooPaths = ()
    activation: Activation | None = None
    edit: Literal["dilate", "contrast"] | None = Field(default=None, validate_default=True)

    @field_validator("edit")
    @classmethod
    def _only_where_the_task_requires_it(cls, value: str | None, info: ValidationInfo) -> str | None:
        task, name = str((info.context or {}).get("task")), str(info.field_name)
        if task not in TASKS:
            return value
        required = TASKS[task].requires
        if name in required and value is None:
            raise ValueError(f"missing; {required[name]}")
        if name not in required and value is not None:
            having = " and ".join(task for task, known in TASKS.items() if name in known.requires)
            raise ValueError(f"only task {having} has it, not {task}; leave it out")
        return value


def _data_of_task(value: Any, handler: object, info: ValidationInfo) -> Data:
    return Data.model_validate(value, context={"task": info.data.get("task")})


def _declared_model(value: Any, info: ValidationInfo) -> Model:
    """Read a model's section by the declaration that the recipe's task and the model's own ``name`` choose."""
    task = info.data.get("task", (info.context or {}).get("task"))  # in the context also one that is misspelt
    if not isinstance(value, dict):
        raise PydanticKnownError("model_attributes_type")
    models = MODELS[likely_task(task, value.get("name"))]
    match value.get("name"):
        case None:  # as everywhere, null is a key left out
            raise PydanticCustomError("model_name_missing", "missing")
        case str(name) if name in models:
            return models[name].model_validate(value)
        case other:
            raise PydanticCustomError("model_name_unknown", "unknown", {"tag": other})


def likely_task(task: object, model: object) -> str:
    """Return ``task``, or the nearest task that has such a model, so that the model's other faults are found too."""
    if isinstance(task, str) and task in TASKS:
        return task
    having = [known for known in TASKS if isinstance(model, str) and model in MODELS[known]] or list(TASKS)
    near = difflib.get_close_matches(task, having, n=1, cutoff=0) if isinstance(task, str) else []
    return (near or having)[0]


def _known_task(value: object) -> str:
    if isinstance(value, str) and value in TASKS:
        return value
    *others, last = (f"'{name}'" for name in TASKS)
    raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})


class Augment(Section):
    """Fresh group elements for every batch; scales are for networks that scale, and sign flips need none."""

    scale: (
        Annotated[
            tuple[Positive, Positive],
            BeforeValidator(two),
            AfterValidator(_ascending),
        ]
        | None
    ) = None


class Optimizer(Section):
    """Adam, its learning rate, the steps over which the rate rises to it, and whether it falls again."""

    name: Literal["adam"]
    lr: Positive
    warmup_steps: Tally = 0
    schedule: Literal["constant", "cosine"] = "constant"
    weight_decay: Annotated[Real, Field(ge=0)] = 0.0


class Training(Section):
    """How long, in which batches, validated how often, with how many parameters at most, from which seed, how precise.

    A model that is fitted in one go needs neither a duration nor batches.
    """

    model_config = ConfigDict(revalidate_instances="always")

    epochs: Count | None = None
    steps: Count | None = Field(None, validate_default=True)
    batch_size: Count | None = Field(None, validate_default=True)
    validate_every: Count | None = None
    max_parameters: Count | None = None
    seed: Seed = 0
    precision: Literal["fp32", "fp64"] = "fp32"

    @field_validator("steps")
    @classmethod
    def _one_duration(cls, steps: int | None, info: ValidationInfo) -> int | None:
        epochs_given = info.data.get("epochs", "given, but faulty") is not None
        if _fitted_at_once(info):
            return steps
        if epochs_given and steps is not None:
            raise ValueError("both epochs and steps are given; keep one (the other may be null)")
        if not epochs_given and steps is None:
            raise ValueError("one of epochs and steps is needed")
        return steps

    @field_validator("batch_size")
    @classmethod
    def _batches_for_steps(cls, size: int | None, info: ValidationInfo) -> int | None:
        if size is None and not _fitted_at_once(info):
            raise PydanticKnownError("missing")
        return size


def _fitted_at_once(info: ValidationInfo) -> bool:
    return bool((info.context or {}).get("closed_form"))


def _training_of_model(value: Any, handler: object, info: ValidationInfo) -> Training:
    model = info.data.get("model")
    return Training.model_validate(value, context={"closed_form": model is not None and model.closed_form})


class Recipe(Section):
    """A whole recipe; :func:`mnfn_cli.recipe.load_recipe` makes one and explains what is wrong with it."""

    version: Annotated[Literal[1], BeforeValidator(_this_version)]
    task: Annotated[str, PlainValidator(_known_task)]
    data: Annotated[Data, WrapValidator(_data_of_task)] = Field(default=Data(), validate_default=True)
    model: Annotated[SerializeAsAny[Model], PlainValidator(_declared_model)]
    augment: Augment | None = None
    optimizer: Optimizer | None = Field(None, validate_default=True)
    training: Annotated[Training, WrapValidator(_training_of_model)]

    @field_validator("optimizer")
    @classmethod
    def _optimizer_for_steps(cls, optimizer: Optimizer | None, info: ValidationInfo) -> Optimizer | None:
        model = info.data.get("model")
        if optimizer is None and not (model is not None and model.closed_form):
            raise PydanticKnownError("missing")
        return optimizer

    @field_validator("model")
    @classmethod
    def _model_fits(cls, model: Model, info: ValidationInfo) -> Model:
        data = info.data.get("data")
        respected, given = model.respects, data.activation if data else None
        if given is None or respected is None or respected == (wanted := GROUP_OF_ACTIVATION[given]):
            return model
        field = type(model).model_fields.get("activation")
        # Some models have no activation that would fit these networks: then only another model helps.
        can_change = field is not None and not {*get_args(field.annotation)}.isdisjoint(LAYER_ACTIVATIONS[wanted])
        subject = f"activation '{dict(model)['activation']}'" if can_change else f"'{model.name}'"
        raise ValueError(
            f"{subject} respects {GROUP_NAMES[respected]}, but networks of '{given}' have {GROUP_NAMES[wanted]}; "
            f"change model.{'activation' if can_change else 'name'} or data.activation"
        )


def dotted_keys(models: Iterable[type[Model]] | None = None) -> Iterator[str]:
    """Yield every key that a recipe with one of these models may hold, dotted, sections before what is in them.

    Args:
        models: schemas; those of every task by default.

    >>> [key for key in dotted_keys() if key.startswith("optimizer")]
    ['optimizer', 'optimizer.name', 'optimizer.lr', 'optimizer.warmup_steps', 'optimizer.schedule', \
'optimizer.weight_decay']
    """
    if models is None:
        models = [model for models in MODELS.values() for model in models.values()]
    yield from _keys(Recipe, "")
    yield from dict.fromkeys(key for model in models for key in _keys(model, "model."))


def _keys(section: type[Section], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield prefix + name
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, Section) and part is not Model:
                yield from _keys(part, f"{prefix}{name}.")
