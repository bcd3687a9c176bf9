"""The base class of models' declarations: the options with defaults, the class that is built, the published recipe."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar, get_args

from mnfn_cli.recipe.sections import Section
from mnfn_cli.symmetry import Access, Group, Sharing


class Model(Section):
    """The base class of declarations. The fields of a subclass are the model's options in the section ``model``.

    Attributes:
        built_by: the class of the functional, or its place as the text ``module:class``. It is called with the
            ``NetworkSpec`` and with all options as keyword arguments.
        published: the name of the shipped recipe with the published options. ``{family}`` in it stands for ``relu`` or
            ``tanh``, according to the networks. Empty if every option has a default.
        closed_form: whether the functional is fitted in closed form instead of by gradient steps. Where that depends on
            the options, ``fits_at_once`` says so instead.
        shares: which parameters the functional has in common for several weight spaces of a zoo; by default it reads
            one. See ``symmetry.Sharing``.
        unbounded: for the task generalization, whether the functional takes the argument ``bounded=False`` and then
            answers any number; by default its answers are in [0, 1].
        name: the name by which recipes choose the model.

    >>> from typing import Literal
    >>> from mnfn_cli.recipe import Model
    >>> class Ridge(Model):
    ...     name: Literal["ridge"]
    ...     penalty: float = 1.0
    >>> Ridge(name="ridge").options()
    {'penalty': 1.0}
    """

    built_by: ClassVar[str | Callable[..., Any]]
    published: ClassVar[str] = ""
    closed_form: ClassVar[bool] = False
    shares: ClassVar[Sharing] = "none"
    unbounded: ClassVar[bool] = False

    name: str

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names by which recipes choose this model."""
        return get_args(cls.model_fields["name"].annotation)

    @classmethod
    def builder(cls) -> Any:
        """Return the class of the functional, after importing it if necessary."""
        if not isinstance(cls.built_by, str):
            return cls.built_by
        module, _, name = cls.built_by.partition(":")
        return getattr(import_module(module), name)

    def options(self) -> dict[str, Any]:
        """Return the keyword arguments of the functional's class: all options, without the model's name."""
        return self.model_dump(exclude={"name"})

    @property
    def fits_at_once(self) -> bool:
        """Whether the functional with these options is fitted in closed form, so that a recipe needs no optimizer."""
        return self.closed_form

    @property
    def respects(self) -> Group | None:
        """The symmetry group that the networks must have; None if the model reads networks of any group."""
        return None

    @property
    def reads(self) -> Access:
        """What the functional reads of a network: its weights alone, or what the network computes on inputs."""
        return "weights alone"
