"""What the kit must know about a network that it trains: one `Architecture` in one module.

A module of the kit is `train/arch/NAME.py`, and its NAME ends with `_det` or `_rec`. Any other module that Python can
import also works, named with its dots (`mine.tiny_det`): a recipe never names a file to be run, only what was installed
or put on Python's path. Each module binds `ARCHITECTURE`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from edge.base.errors import InputError, ModelError
from edge.model.card import Card, Input
from train.arch import load_paddle

if TYPE_CHECKING:
    from paddle import nn

PACKAGE = "train.arch"
DEFAULTS = {"det": "ppocrv3_det", "rec": "ppocrv3_rec"}
"""What a recipe, card or checkpoint that names none means."""


@dataclass(frozen=True)
class PublishedFile:
    """An ONNX file with published weights, converted from one of PaddleOCR's inference models.

    Attributes:
        package: From PyPI; it carries the file in its folder `models`.
        version: Of the package.
        file: Its name.
        first: Where the counting of each kind of layer begins (`train.weights.published`), 0 if not given.
        created: Gives name, layer and kind of a network's layers in PaddleOCR's order of creation.
    """

    package: str
    version: str
    file: str
    first: Mapping[str, int]
    created: Callable[[nn.Layer], Iterator[tuple[str, nn.Layer, str]]]


class Architecture(ABC):
    """A network that the kit can train, quantise, export and prove.

    Attributes:
        task: `det` or `rec`.
        about: One line for people, for the model card.
        input: How pixels become its input; a recogniser's width may be left to the recipe (0).
        stride: Of a recogniser: pixels of the input's width for each CTC step.
        settings: Of `plate.conf`, `key=value` each, for its card: what it is used with, such as `det_limit_side=512`. A
            recipe's go before them.
        fits: `module:class` of its data, loss and validation (`train.fit.tasks.Task`); empty for its task's own.
        marks: Parts of parameters' names by which a bare checkpoint of it is known; all must occur.
        training_only: Prefixes of parameters that only training uses, and that weights may lack.
        foreign: Prefixes of parameters of other people's checkpoints that it has no place for.
        head: Names of weight and bias of a recogniser's last layer, which is made anew for another charset.
    """

    task: str
    about: str
    input: Input
    stride: int = 1
    settings: tuple[str, ...] = ()
    fits: str = ""
    marks: tuple[str, ...] = ()
    training_only: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    head: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """What a recipe calls it: its module."""
        return type(self).__module__.removeprefix(f"{PACKAGE}.")

    @property
    def pipeline(self) -> dict[str, str]:
        """Its settings by key."""
        return dict(text.split("=", 1) for text in self.settings)

    @abstractmethod
    def network(self, classes: int, like: Mapping[str, Any] | None) -> nn.Layer:
        """Makes the network with fresh weights; see `build`, which is what others call."""

    def simplify(self, net: nn.Layer) -> None:  # noqa: B027 - most have nothing to do
        """Rewrites a network in place to its deployed form: the same function with fewer weights and operators."""

    def published(self) -> PublishedFile | None:
        """Returns where its published weights are; None without any."""
        return None

    def prunable(self, net: nn.Layer) -> list[str]:
        """Names the weights whose filters pruning may remove; `network` then follows them by `like`."""
        return []

    def build(self, classes: int | None = None, like: Mapping[str, Any] | None = None) -> nn.Layer:
        """Builds it with fresh weights and parameter names that are the same in every process.

        Args:
            classes: Of a recogniser: characters + 1.
            like: Parameters whose pruned widths it is to have; None for its own.

        Returns:
            The network in training mode; it remembers `classes`.
        """
        load_paddle()
        from paddle.utils import unique_name

        if self.task == "rec" and not classes:
            raise ModelError("A recogniser needs its number of classes.", "It is the dictionary's lines + 1.")
        with unique_name.guard():
            return self._made(classes, like)

    def deployed(self, net: nn.Layer) -> nn.Layer:
        """Returns a copy of a network in evaluation mode and in the deployed form.

        The copy is built anew, so its parameters have the same names in every process; a file made of it is reproducible.

        Args:
            net: As `build` gave it, not quantised; it is not changed.
        """
        import paddle
        from paddle.utils import unique_name

        values = net.state_dict()
        with unique_name.guard(), paddle.no_grad():
            result = self._made(net.classes, values)
            for name, parameter in result.state_dict().items():
                parameter.set_value(values[name])
            self.simplify(result)
        result.eval()
        return result

    def _made(self, classes: int | None, like: Mapping[str, Any] | None) -> nn.Layer:
        net = self.network(classes or 0, like)
        net.classes = classes
        return net

    def taken(self, width: int = 0) -> Input:
        """Returns its input; a recogniser's is as wide as its recipe says.

        Raises:
            InputError: The width is not a multiple of what the network needs.
        """
        if self.task == "det" or not width:
            return self.input
        if width % self.input.multiple_of or self.input.width not in (0, width):
            wanted = self.input.width or f"a multiple of {self.input.multiple_of}"
            raise InputError(f"model.width = {width} does not fit {self.name}.", f"Its input's width is {wanted} pixels.")
        return replace(self.input, width=width)

    def card(self, name: str) -> Card:
        """Returns the beginning of a model card for its exported float form."""
        return Card(
            name=name,
            task=self.task,
            architecture=self.about,
            format="inference",
            precision="fp32",
            input=self.input,
            pipeline=self.pipeline,
            arch=self.name,
        )


def class_count(characters: Sequence[str] | None) -> int | None:
    """Returns the classes of a recogniser: one a character, and the CTC blank; None for a detector."""
    return None if characters is None else len(characters) + 1


def architecture_names() -> list[str]:
    """Returns the names of the kit's own architectures, without loading any."""
    folder = Path(__file__).parent
    return sorted(path.stem for task in DEFAULTS for path in folder.glob(f"*_{task}.py"))


def may_be_architecture(name: str) -> bool:
    """Tells whether a name is of an architecture of the kit, or has the form of a module's; loads nothing."""
    return name in architecture_names() or ("." in name and all(part.isidentifier() for part in name.split(".")))


def unknown_architecture(name: str, where: str = "", why: str = "") -> InputError:
    """Returns the error for an unknown architecture.

    Args:
        name: As it was asked for.
        where: Who asks.
        why: What loading it said.
    """
    known = ", ".join(architecture_names())
    return InputError(
        f"{where + ': there' if where else 'There'} is no architecture {name!r}{': ' + why if why else ''}.",
        f"Architectures: {known}; or a module on Python's path, with its dots, such as mine.tiny_det.",
    )


def refuse_module(what: str, module: str, error: BaseException) -> NoReturn:
    """Refuses a module that is not the kit's and cannot be loaded.

    Args:
        what: It is for, begins the message.
        module: Its name.
        error: What loading it raised.

    Raises:
        InputError: Always.
    """
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    hint = f"Correct the module; `python -c 'import {module}'` shows where."
    raise InputError(f"{what} cannot be loaded: {said}.", hint) from error


@cache
def find_architecture(name: str, task: str) -> Architecture:
    """Loads an architecture, and with it Paddle.

    Args:
        name: Of the kit, or of a module; empty for PP-OCRv3's of the task.
        task: `det` or `rec`, as the caller has it.

    Raises:
        InputError: There is none of that name, its module cannot be loaded, it lacks an attribute, its class is of
            another module, or it is of the other task.
        HostError: Paddle is not installed.
    """
    name = name or DEFAULTS[task]
    if not may_be_architecture(name):
        raise unknown_architecture(name)
    load_paddle()
    module = name if "." in name else f"{PACKAGE}.{name}"
    try:
        found = getattr(import_module(module), "ARCHITECTURE", None)
    except ModuleNotFoundError as error:
        raise unknown_architecture(name, why=str(error)) from error
    except (Exception, SystemExit) as error:
        if "." not in name:  # Of the kit itself.
            raise
        refuse_module(f"The architecture {name!r}", module, error)
    if not isinstance(found, Architecture):
        raise unknown_architecture(name, why=f"{module} binds no ARCHITECTURE")
    if lacking := [key for key in ("task", "about", "input") if not hasattr(found, key)]:
        raise InputError(f"The architecture {name!r} lacks {', '.join(lacking)}.", f"Set it in its class, in {module}.")
    if found.name != name:
        # Cards and checkpoints state the name, and must find the same again.
        hint = f"Name {found.name}, or derive a class in {module}."
        raise InputError(f"{name}'s ARCHITECTURE is of a class in {found.name}.", hint)
    if found.task != task:
        raise InputError(f"{name} is an architecture for {found.task}, not for {task}.", "Change task or model.arch.")
    return found
