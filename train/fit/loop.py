"""The training loop: optimiser steps, moving average, validation, checkpoints, log."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.base.errors import HostError, ModelError
from train.arch.border import Arrays, Layer, Tensor
from train.fit.log import RunLog
from train.fit.schedule import ema_decay, rate_at
from train.fit.tasks import Task
from train.recipes.recipe import Recipe, recipe_document
from train.weights.checkpoint import LAST, Checkpoint, check_fits, load_state, save_arrays, save_best, save_state

Report = Callable[[dict[str, Any]], None]


@dataclass
class Fit:
    """One run, in one folder.

    Attributes:
        recipe: Its settings.
        net: The network, in training mode; trained in place.
        task: Data, loss and validation.
        out: The run's folder, see `train.weights.checkpoint`.
        report: Called with each logged row (for progress).
        rank: 0 writes files and validates; others only train (paddle.distributed).
        held: Layers kept in evaluation mode while the others train.
        world: How many processes train.
    """

    recipe: Recipe
    net: Layer
    task: Task
    out: Path
    report: Report = lambda row: None
    rank: int = 0
    held: Sequence[Layer] = ()
    world: int = 1

    def __post_init__(self) -> None:
        self.step = 0
        self.best: dict[str, Any] = {}
        self.state = self.net.state_dict()  # Tensors that the network works on, by name.
        self.optimiser = self._optimiser()
        self.average: dict[str, Tensor] = {}
        if self.recipe.optim.ema:
            self.average = {name: value.detach().clone() for name, value in self.state.items()}

    def run(self, stop: int | None = None) -> dict[str, Any]:
        """Trains from the last checkpoint, or from the start, to the recipe's last step.

        Args:
            stop: Stop after this step instead, with a checkpoint, as if interrupted.

        Returns:
            Figures and step of the best validation.

        Raises:
            ModelError: The loss is not finite (the batch is saved), or the weights are not (the last checkpoint
                stays), or the checkpoint is another network's.
            HostError: A checkpoint cannot be written.
        """
        self.resume()
        last = min(self.recipe.steps, stop or self.recipe.steps)
        log = RunLog(self.out / "log.csv", self.step) if self.rank == 0 else None
        batches = self._batches(last)
        began, first = time.monotonic(), self.step
        while self.step < last:
            parts, rate = self._one_step(batches)
            self.step += 1
            row: dict[str, Any] = {"step": self.step, "steps": self.recipe.steps, "rate": rate, **parts}
            row["seconds_a_step"] = (time.monotonic() - began) / (self.step - first)
            at_end = self.step == self.recipe.steps
            if self.rank == 0 and (self.step % self.recipe.eval_every == 0 or at_end):
                row.update(self._validate())
            if log is not None:
                log.write(row)
            self.report(row)
            if self.rank == 0 and (self.step % self.recipe.save_every == 0 or self.step == last):
                self.save()
        if log is not None:
            log.close()
        return self.best

    def resume(self) -> None:
        """Goes on from `last.ckpt`, when there is one."""
        path = self.out / LAST
        if not path.is_file():
            return
        state = load_state(path)
        check_fits(state, self.weights(), recipe_document(self.recipe), path)
        for name, value in self.state.items():
            value.set_value(state.weights[name])
        for name, value in self.average.items():
            value.set_value(state.average[name])
        import paddle

        self.optimiser.set_state_dict({name: paddle.to_tensor(value) for name, value in state.optimiser.items()})
        self.step, self.best = state.step, state.best

    def save(self) -> None:
        """Writes `last.ckpt`."""
        state = Checkpoint(
            recipe_document(self.recipe),
            self.step,
            self._sound_weights(),
            {name: value.numpy() for name, value in self.average.items()},
            {name: value.numpy() for name, value in self.optimiser.state_dict().items() if hasattr(value, "numpy")},
            self.best,
        )
        save_state(self.out / LAST, state)

    def weights(self) -> Arrays:
        """Returns the parameters and buffers by name."""
        return {name: value.numpy() for name, value in self.state.items()}

    @contextmanager
    def averaged(self) -> Iterator[Layer]:
        """Lends the network in evaluation mode with the moving average's weights (its own without one)."""
        kept = {name: value.clone() for name, value in self.state.items()} if self.average else {}
        for name, value in self.average.items():
            self.state[name].set_value(value)
        self.net.eval()
        try:
            yield self.net
        finally:
            for name, value in kept.items():
                self.state[name].set_value(value)
            self._train_mode()

    def _sound_weights(self) -> Arrays:
        """Returns the weights; a gradient can spoil them although the loss before it was finite."""
        weights = self.weights()
        broken = [name for name, value in weights.items() if not np.isfinite(value).all()]
        if broken:
            raise ModelError(
                f"After step {self.step}, {len(broken)} parameters are not finite, such as {broken[0]}; they are not saved.",
                "Lower optim.rate, or set a smaller optim.clip (0: none); the same command resumes from the checkpoint.",
            )
        return weights

    def _validate(self) -> dict[str, float]:
        self._sound_weights()
        with self.averaged() as net:
            figures = self.task.validate(net)
            if figures["score"] >= self.best.get("score", -math.inf):
                self.best = {"step": self.step, **figures}
                save_best(self.out, self.weights(), self.best)
        return figures

    def _one_step(self, batches: Iterator[Any]) -> tuple[dict[str, float], float]:
        import paddle

        optim = self.recipe.optim
        rate = rate_at(self.step, self.recipe.steps, optim)
        self.optimiser.set_lr(rate)
        self._train_mode()
        parts: dict[str, float] = {}
        for index in range(optim.accumulate):
            batch = next(batches)
            # Dropout draws from this batch's own seed, so that a resumed run drops what the first would have dropped.
            number = (self.step * optim.accumulate + index) * self.world + self.rank
            paddle.seed(self.recipe.seed * 1_000_003 + number)
            with paddle.amp.auto_cast(enable=self.recipe.amp, dtype="bfloat16"):
                losses = self.task.loss(self.net, batch)
            loss = losses["loss"] / optim.accumulate
            for name, value in losses.items():
                parts[name] = parts.get(name, 0.0) + float(value) / optim.accumulate
            if not math.isfinite(parts["loss"]):
                self._stop_for(batch)
            loss.backward()
        self.optimiser.step()
        self.optimiser.clear_grad()
        for value in self.state.values():
            if value.stop_gradient:
                # Fake quantisation writes its scales as outputs of the graph; they would keep every step's graph alive.
                value.detach_()
        self._move_average()
        return parts, rate

    def _stop_for(self, batch: Any) -> None:
        path = self.out / f"bad-batch-{self.step}.npz"
        try:
            weights = {f"weights/{name}": value for name, value in self.weights().items()}
            save_arrays(path, {**self.task.arrays(batch), **weights})
            kept = f"the batch and the weights are saved in {path}"
        except HostError as error:
            kept = f"the batch could not be saved: {error.message}"
        raise ModelError(
            f"The loss of step {self.step + 1} is not finite; {kept.rstrip('.')}.",
            "Lower optim.rate, or look at that batch's labels.",
        )

    def _move_average(self) -> None:
        import paddle

        decay = ema_decay(self.step, self.recipe.optim.ema)
        with paddle.no_grad():
            for name, value in self.average.items():
                value.set_value(value * decay + self.state[name] * (1 - decay))

    def _train_mode(self) -> None:
        import paddle

        self.net.train()
        for layer in self.held:
            layer.eval()
        if self.recipe.model.freeze_norm:
            for layer in self.net.sublayers():
                if isinstance(layer, paddle.nn.BatchNorm2D):
                    layer.eval()

    def _optimiser(self) -> Any:
        import paddle

        optim = self.recipe.optim
        parameters = [value for value in self.net.parameters() if not value.stop_gradient]
        clip = paddle.nn.ClipGradByGlobalNorm(optim.clip) if optim.clip else None
        if optim.kind == "adam":
            return paddle.optimizer.Adam(
                optim.rate, parameters=parameters, weight_decay=optim.decay or None, grad_clip=clip
            )
        decayed = {value.name for value in parameters if len(value.shape) > 1}
        return paddle.optimizer.AdamW(
            optim.rate,
            parameters=parameters,
            weight_decay=optim.decay,
            apply_decay_param_fun=lambda name: name in decayed,
            grad_clip=clip,
        )

    def _batches(self, last: int) -> Iterator[Any]:
        """Yields the batches from the present step on, the next one being made while this one is trained on."""
        each = self.recipe.optim.accumulate
        with ThreadPoolExecutor(1) as pool:
            waiting: Future[Any] | None = None
            for index in range(self.step * each, last * each):
                ready = waiting or pool.submit(self.task.batch, index)
                waiting = pool.submit(self.task.batch, index + 1) if index + 1 < last * each else None
                yield ready.result()
