"""What differs between fitting a detector and a recogniser: data, loss, validation."""

from __future__ import annotations

import math
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edge.base.errors import InputError
from edge.base.progress import Say
from edge.plate.label_notes import tell
from train.arch.architecture import refuse_module
from train.arch.border import Array, Arrays, Layer, Tensor
from train.recipes.recipe import Recipe, recipe_architecture

if TYPE_CHECKING:
    from train.data.rec_batches import RecBatch


class Task(Protocol):
    """What an architecture is fitted for, bound to a recipe; made with the arguments of `open_task`."""

    def batch(self, step: int) -> Any:
        """Draws the batch of a step; the same step gives the same batch."""
        ...

    def loss(self, net: Layer, batch: Any) -> dict[str, Tensor]:
        """Runs the network on a batch; returns `loss` and its parts as scalar tensors."""
        ...

    def validate(self, net: Layer) -> dict[str, float]:
        """Measures a network in evaluation mode on the held-out samples; the greatest `score` is best.

        Without any, `samples` is 0, the score too, and there are no other figures.
        """
        ...

    def arrays(self, batch: Any) -> Arrays:
        """Returns a batch as arrays, to be saved when its loss is not a number."""
        ...


TASKS = {"det": "train.fit.tasks_det:DetTask", "rec": "train.fit.tasks:RecTask"}
"""What fits an architecture that names nothing of its own (`Architecture.fits`)."""


def open_task(
    recipe: Recipe, characters: list[str] | None, ranks: tuple[int, int] = (0, 1), note: Say = tell
) -> Task:
    """Binds the task of a recipe's architecture to the recipe.

    Args:
        recipe: Its settings.
        characters: Of a recogniser's classes 1, 2, ...; None for a detector.
        ranks: Number of this process, and how many train together.
        note: Told what is odd about the data.

    Raises:
        InputError: The data, or the class that the architecture names, is not there.
    """
    arch = recipe_architecture(recipe)
    module, _, name = (arch.fits or TASKS[recipe.task]).partition(":")
    if not module or not name:
        raise InputError(f"{arch.name} names {arch.fits!r} to fit it.", "Set `fits` to MODULE:CLASS.")
    try:
        made = getattr(import_module(module), name)
    except (Exception, SystemExit) as error:
        if not arch.fits:  # Of the kit itself.
            raise
        refuse_module(f"{module}:{name}, which {arch.name} names to fit it,", module, error)
    task: Task = made(recipe, characters, ranks, note)
    return task


class RecTask:
    """The recogniser: CTC loss, accuracy of whole texts by greedy decoding."""

    def __init__(
        self, recipe: Recipe, characters: list[str] | None, ranks: tuple[int, int] = (0, 1), note: Say = tell
    ) -> None:
        from train.data.rec_batches import RecData

        assert characters is not None
        self.recipe = recipe
        self.characters = characters
        self.rank, self.world = ranks
        self.data = RecData(recipe, characters, note)

    def batch(self, step: int) -> RecBatch:
        """See `Task`."""
        return self.data.batch(self.recipe.seed, step * self.world + self.rank, self.recipe.batch)

    def loss(self, net: Layer, batch: RecBatch) -> dict[str, Tensor]:
        """See `Task`."""
        import paddle

        from train.fit.losses import ctc_loss

        logits = net(paddle.to_tensor(batch.images))
        return {"loss": ctc_loss(logits, paddle.to_tensor(batch.labels), paddle.to_tensor(batch.lengths))}

    def validate(self, net: Layer) -> dict[str, float]:
        """Accuracy, which is the score, and the mean CTC loss (a single mislabelled crop can dominate that).

        The loss of a text that the steps cannot hold is infinite; the mean is of the others. Without a held-out sample
        there is neither.
        """
        import paddle

        from edge.ocr.recognise import ctc_greedy

        right = count = 0
        losses: list[float] = []
        for batch in self.data.validation_batches(32):
            with paddle.no_grad():
                probabilities = net(paddle.to_tensor(batch.images)).numpy()
            for row, labels, length, text in zip(probabilities, batch.labels, batch.lengths, batch.texts, strict=True):
                right += ctc_greedy(row, self.characters)[0] == text
                losses.append(path_loss(row, labels[:length]))
                count += 1
        if not count:
            return {"samples": 0, "score": 0.0}
        accuracy = right / count
        finite = [loss for loss in losses if math.isfinite(loss)]
        mean = sum(finite) / max(1, len(finite))
        return {"accuracy": accuracy, "val_loss": mean, "samples": count, "score": accuracy}

    def arrays(self, batch: RecBatch) -> Arrays:
        """See `Task`."""
        return {"images": batch.images, "labels": batch.labels, "lengths": batch.lengths}


def path_loss(probabilities: Array, labels: Array) -> float:
    """The CTC loss -ln p(labels) of one text by the forward algorithm (Graves et al. 2006, section 4.1).

    Args:
        probabilities: float32 [T, C], softmax applied, blank 0.
        labels: int [L].

    Returns:
        Nats; infinite when T cannot hold the labels.
    """
    extended = np.zeros(2 * len(labels) + 1, np.int64)
    extended[1::2] = labels
    log = np.log(np.maximum(probabilities.astype(np.float64), 1e-300))[:, extended]
    skip = np.zeros(len(extended), bool)
    skip[2:] = (extended[2:] != 0) & (extended[2:] != extended[:-2])
    alpha = np.full(len(extended), -np.inf)
    alpha[:2] = log[0, :2]
    for row in log[1:]:
        one = np.concatenate(([-np.inf], alpha[:-1]))
        two = np.where(skip, np.concatenate(([-np.inf, -np.inf], alpha[:-2]))[: len(extended)], -np.inf)
        alpha = np.logaddexp(np.logaddexp(alpha, one), two) + row
    return float(-np.logaddexp(alpha[-1], alpha[-2] if len(alpha) > 1 else -np.inf))
