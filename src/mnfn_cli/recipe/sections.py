"""The base class of a recipe's sections, and the types of their values."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Activation = Literal["relu", "leaky_relu", "sin", "tanh"]


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def two(value: object) -> object:
    """Return the value; raises ValueError for a list that does not have two entries."""
    if isinstance(value, list | tuple) and len(value) != 2:
        raise ValueError(f"two numbers are needed, not {len(value)}")
    return value


def some(value: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the value; raises ValueError for an empty list."""
    if not value:
        raise ValueError("at least one entry is needed")
    return value


Count = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
Tally = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
Seed = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[Real, Field(gt=0)]
Probability = Annotated[Real, Field(ge=0, lt=1)]
Flag = Annotated[bool, Field(strict=True)]
Widths = Annotated[tuple[Count, ...], AfterValidator(some)]
TwoWidths = Annotated[tuple[Count, Count], BeforeValidator(two)]
ZooPath = Annotated[str, Field(pattern=r"^[^\x00]+$")]
ZooPaths = Annotated[tuple[ZooPath, ...], BeforeValidator(_listed)]


class Section(BaseModel):
    """A section of a recipe. Unknown keys are refused, values cannot change, and null counts as missing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        absent = {key for key in cls.model_fields if value.get(key) is None}
        return {key: entry for key, entry in value.items() if key not in absent}
