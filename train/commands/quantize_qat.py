"""The QAT half of `edge train quantize`: train with int8 rounding from a float run, export, print the figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edge.base.errors import UsageError
from edge.model.folder import check_free
from train.commands.export import show_delivered


def quantize_by_training(
    task: str,
    runs: Sequence[Path],
    out: Path,
    recipe_name: str,
    overrides: tuple[str, ...],
    *,
    force: bool = False,
    as_json: bool = False,
) -> None:
    """Runs QAT in `<out>-run` (resumed when it is there) and writes the int8 inference model to `out`.

    Args:
        task: `det` or `rec`.
        runs: Folder of the float run, or checkpoints, which are averaged.
        out: Folder of the int8 model.
        recipe_name: As for `edge train fit`.
        overrides: Likewise.
        force: Replace an existing model.
        as_json: Print one JSON document.

    Raises:
        UsageError: The recipe is for the other task; another process trains in `<out>-run`.
        InputError: `out` is taken and `force` is off; there is no float run.
        EdgeError: See `train.quantize.qat`.
    """
    from edge.base.alone import alone_in
    from train.evaluate.delivery import deliver
    from train.quantize.qat import start_qat
    from train.recipes.recipe import load_recipe
    from train.weights.trained import read_trained

    recipe = load_recipe(recipe_name, overrides)
    if recipe.task != task:
        raise UsageError(f"{recipe_name} is a recipe for {recipe.task}, not for {task}.")
    check_free(out, force)  # Before the training, not after it.
    work = out.with_name(f"{out.name}-run")
    from train.commands.fit import FitProgress

    with alone_in(work, "edge train quantize --method qat"):
        with FitProgress(None, quiet=as_json) as progress:
            start_qat(recipe, runs, work, progress.row).run()
        model = deliver(read_trained([work]), out, recipe=recipe, force=force)
    show_delivered(model, as_json)
