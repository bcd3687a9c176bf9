"""What a recipe may say: one closed, frozen model per section.

The sections hold plain numbers, texts and tuples. What they mean is for the engine; nothing here imports it.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

Activation = Literal["relu", "leaky_relu", "sin", "tanh"]

# The group of a zoo's networks follows from their activation; a model's own activation must fit that group.
_GROUPS = {"relu": "scalings", "leaky_relu": "scalings", "sin": "sign flips", "tanh": "sign flips"}
_INVARIANTS = {"scalings": "normalize", "sign flips": "absolute"}


def _this_version(value: object) -> object:
    if type(value) is not int or value != 1:  # to Python, true and 1.0 are 1
        raise ValueError("this mnfn reads recipes of version 1 only; write 'version: 1'")
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _two(value: object) -> object:
    if isinstance(value, list | tuple) and len(value) != 2:
        raise ValueError(f"two numbers are needed, not {len(value)}")
    return value


def _some(value: tuple[int, ...]) -> tuple[int, ...]:
    if not value:
        raise ValueError("at least one number is needed")
    return value


def _ascending(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"the lowest scale comes first, so [{value[1]:g}, {value[0]:g}]")
    return value


Count = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
Tally = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
Seed = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]
ZooPath = Annotated[str, Field(pattern=r"^[^\x00]+$")]


class Section(BaseModel):
    """The habits of every section: closed, frozen, and a key set to null is a key left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        absent = {key for key in cls.model_fields if value.get(key) is None}
        return {key: entry for key, entry in value.items() if key not in absent}


class Data(Section):
    """The zoos to learn from, and which activation their networks must have for this recipe."""

    zoo: Annotated[tuple[ZooPath, ...], BeforeValidator(_listed)] = ()
    activation: Activation | None = None


class Monomial(Section):
    """Equivariant layers, an invariant function, mean pooling, and a head with two hidden layers."""

    name: Literal["monomial"]
    channels: Annotated[tuple[Count, ...], AfterValidator(_some)]
    head: Annotated[tuple[Count, Count], BeforeValidator(_two)]
    activation: Literal["relu", "tanh", "sin"] = "relu"
    invariant: Literal["normalize", "absolute"] = Field("normalize", validate_default=True)
    sign_terms: Flag = False
    dropout: Annotated[Real, Field(ge=0, lt=1)] = 0.0
    canonicalize: Flag = False

    @field_validator("invariant")
    @classmethod
    def _invariant_fits(cls, invariant: str, info: ValidationInfo) -> str:
        activation = info.data.get("activation")
        if activation and invariant != (fitting := _INVARIANTS[_GROUPS[activation]]):
            raise ValueError(f"'{fitting}' is needed beside activation '{activation}', not '{invariant}'")
        return invariant

    def options(self) -> dict[str, Any]:
        """Return what to hand to the model's builder: every option, without the name."""
        return self.model_dump(exclude={"name"})


MODELS: dict[str, type[Section]] = {"monomial": Monomial}


class _ByName:
    """Choose a model's schema by its ``name``; pydantic's own ``discriminator`` refuses a union of one."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {name: handler.generate_schema(model) for name, model in MODELS.items()}
        return core_schema.tagged_union_schema(choices, discriminator="name")


class Augment(Section):
    """Fresh group elements for every batch; scales are for networks that scale, and sign flips need none."""

    scale: (
        Annotated[
            tuple[Annotated[Real, Field(gt=0)], Annotated[Real, Field(gt=0)]],
            BeforeValidator(_two),
            AfterValidator(_ascending),
        ]
        | None
    ) = None


class Optimizer(Section):
    """Adam, its learning rate, and the steps over which the rate rises to it."""

    name: Literal["adam"]
    lr: Annotated[Real, Field(gt=0)]
    warmup_steps: Tally = 0
    weight_decay: Annotated[Real, Field(ge=0)] = 0.0


class Training(Section):
    """How long, in which batches, from which seed, and in which precision."""

    epochs: Count | None = None
    steps: Count | None = Field(None, validate_default=True)
    batch_size: Count
    seed: Seed = 0
    precision: Literal["fp32", "fp64"] = "fp32"

    @field_validator("steps")
    @classmethod
    def _one_duration(cls, steps: int | None, info: ValidationInfo) -> int | None:
        epochs_given = info.data.get("epochs", "given, but faulty") is not None
        if epochs_given and steps is not None:
            raise ValueError("both epochs and steps are given; keep one (the other may be null)")
        if not epochs_given and steps is None:
            raise ValueError("one of epochs and steps is needed")
        return steps


class Recipe(Section):
    """A whole recipe; :func:`mnfn_cli.recipe.load_recipe` makes one and explains what is wrong with it."""

    version: Annotated[Literal[1], BeforeValidator(_this_version)]
    task: Literal["generalization"]
    data: Data = Data()
    model: Annotated[Monomial, _ByName()]
    augment: Augment | None = None
    optimizer: Optimizer
    training: Training

    @field_validator("model")
    @classmethod
    def _model_fits(cls, model: Monomial, info: ValidationInfo) -> Monomial:
        data = info.data.get("data")
        if data and data.activation and _GROUPS[data.activation] != (group := _GROUPS[model.activation]):
            raise ValueError(
                f"activation '{model.activation}' respects {group}, but networks of '{data.activation}' "
                f"have {_GROUPS[data.activation]}; change model.activation or data.activation"
            )
        return model


def dotted_keys(section: type[Section] = Recipe, prefix: str = "") -> Iterator[str]:
    """Yield every key that a recipe may hold, dotted, sections before what is in them.

    >>> [key for key in dotted_keys() if key.startswith("optimizer")]
    ['optimizer', 'optimizer.name', 'optimizer.lr', 'optimizer.warmup_steps', 'optimizer.weight_decay']
    """
    for name, field in section.model_fields.items():
        yield prefix + name
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, Section):
                yield from dotted_keys(part, f"{prefix}{name}.")
