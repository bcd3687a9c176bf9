"""The schema of recipes: a class for each section, with the types, defaults and checks of its keys.

Values are plain numbers, texts and tuples; nothing here imports torch.
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

from mnfn_cli.recipe.declaration import Model
from mnfn_cli.recipe.models import MODELS
from mnfn_cli.recipe.sections import (
    Activation,
    Count,
    Flag,
    Positive,
    Probability,
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


def _apart(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] >= value[1]:
        raise ValueError("two different numbers are needed, the lower one first")
    return value


class Data(Section):
    """The section ``data``.

    Attributes:
        zoo: the paths of the zoos to train on.
        activation: the activation that the zoos' networks must have; None for any.
        edit: the edit that the task editing learns; None for other tasks.
        label: the column of the zoos' tables that the task generalization learns; None for the test accuracy.
        bounds: the lowest and the highest number that this column can hold; None for any number, and [0, 1] for the
            test accuracy.

    >>> from mnfn_cli.recipe import Data
    >>> Data(zoo=("zoos/digits",)).zoo
    ('zoos/digits',)
    """

    model_config = ConfigDict(revalidate_instances="always")  # a recipe without the section meets the same checks

    zoo: ZooPaths = ()
    activation: Activation | None = None
    edit: Literal["dilate", "contrast"] | None = Field(default=None, validate_default=True)
    label: Annotated[str, Field(min_length=1)] | None = None
    bounds: Annotated[tuple[Real, Real], BeforeValidator(two), AfterValidator(_apart)] | None = None

    @field_validator("edit", "label", "bounds")
    @classmethod
    def _only_where_the_task_has_it(cls, value: Any, info: ValidationInfo) -> Any:
        task, name = str((info.context or {}).get("task")), str(info.field_name)
        if task not in TASKS:
            return value
        required = TASKS[task].requires
        if name in required and value is None:
            raise ValueError(f"missing; {required[name]}")
        if name not in (*required, *TASKS[task].optional) and value is not None:
            having = " and ".join(task for task, known in TASKS.items() if name in (*known.requires, *known.optional))
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
    """Return ``task``, or if there is no such task the most similar one, so that faults of the model are found too."""
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
    """The section ``augment``: random group elements act on the networks of every batch.

    Attributes:
        scale: the interval (low, high) of the factors of hidden neurons, for the scaling group.

    >>> from mnfn_cli.recipe import Augment
    >>> Augment(scale=(1.0, 10.0)).scale
    (1.0, 10.0)
    """

    scale: (
        Annotated[
            tuple[Positive, Positive],
            BeforeValidator(two),
            AfterValidator(_ascending),
        ]
        | None
    ) = None


class Optimizer(Section):
    """The section ``optimizer``.

    Attributes:
        name: the optimizer, ``adam`` or ``adamw``.
        lr: the largest learning rate.
        warmup_steps: the number of steps over which the learning rate rises linearly to ``lr``.
        schedule: how it goes on: ``constant``, or ``cosine``, which falls to 0 as half a cosine.
        weight_decay: the argument of the optimizer in ``torch.optim``.

    >>> from mnfn_cli.recipe import load_recipe
    >>> load_recipe("generalization/relu-monomial").optimizer.name
    'adam'
    """

    name: Literal["adam", "adamw"]
    lr: Positive
    warmup_steps: Tally = 0
    schedule: Literal["constant", "cosine"] = "constant"
    weight_decay: Annotated[Real, Field(ge=0)] = 0.0


class Training(Section):
    """The section ``training``. A model that is fitted in closed form needs no epochs, steps and batches.

    Attributes:
        epochs, steps: the length of the training; one of the two.
        batch_size: the number of networks in a batch.
        validate_every: the number of steps between validations; by default an epoch.
        max_parameters: the largest number of parameters of the model; by default 100 million.
        calibration: the fraction of the validation networks that calibrate the intervals around predictions and do not
            choose the model; 0 for no intervals. Only for tasks that have intervals.
        seed: the seed of the model's initial weights, the batches and the group elements.
        precision: ``fp32`` for float32, ``fp64`` for float64, or ``bf16`` for training in float32 whose products of
            matrices are computed in bfloat16. The trained model is then a float32 model.
        in_memory: whether all networks are read before the training; else each batch is read from the zoos, and
            networks that are neighbours there stay near one another in an epoch. By default up to 512 MiB of training
            networks are read.

    >>> from mnfn_cli.recipe import load_recipe
    >>> load_recipe("generalization/relu-monomial").training.batch_size
    8
    """

    model_config = ConfigDict(revalidate_instances="always")

    epochs: Count | None = None
    steps: Count | None = Field(None, validate_default=True)
    batch_size: Count | None = Field(None, validate_default=True)
    validate_every: Count | None = None
    max_parameters: Count | None = None
    calibration: Probability | None = Field(None, validate_default=True)
    seed: Seed = 0
    precision: Literal["bf16", "fp32", "fp64"] = "fp32"
    in_memory: Flag | None = None

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

    @field_validator("calibration")
    @classmethod
    def _only_for_intervals(cls, share: float | None, info: ValidationInfo) -> float | None:
        task = str((info.context or {}).get("task"))
        if task not in TASKS:
            return share
        usual = TASKS[task].calibration
        if usual is None and share is not None:
            having = " and ".join(name for name, known in TASKS.items() if known.calibration is not None)
            raise ValueError(f"only task {having} has intervals, not {task}; leave it out")
        return usual if share is None else share


def _fitted_at_once(info: ValidationInfo) -> bool:
    return bool((info.context or {}).get("closed_form"))


def _training_of_model(value: Any, handler: object, info: ValidationInfo) -> Training:
    model = info.data.get("model")
    closed_form = model is not None and model.fits_at_once
    return Training.model_validate(value, context={"closed_form": closed_form, "task": info.data.get("task")})


class Recipe(Section):
    """A recipe. Use :func:`mnfn_cli.recipe.load_recipe` to read one, with plain messages about its faults.

    Attributes:
        version: the version of the format, 1.
        task: the task, a key of ``TASKS``.
        data, model, augment, optimizer, training: the sections of the recipe.

    >>> from mnfn_cli.recipe import load_recipe
    >>> recipe = load_recipe("generalization/relu-monomial")
    >>> recipe.task, recipe.model.name
    ('generalization', 'monomial')
    """

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
        if optimizer is None and not (model is not None and model.fits_at_once):
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
    """Yield the dotted keys that a recipe with one of these models may have, each section before its own keys.

    Args:
        models: declarations of models; by default those of all tasks.

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
