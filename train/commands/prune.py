"""`edge train prune`: a smaller recogniser to start a fit from."""

from __future__ import annotations

from pathlib import Path

import click
import yaml

from edge.base.errors import UsageError
from edge.terminal.commandline import command, print_json
from edge.terminal.options import force_option, json_option


@command()
@click.argument("task", type=click.Choice(["rec"]))
@click.option(
    "--model", "source", required=True, type=click.Path(exists=True, path_type=Path), help="A fit's run or .pdparams."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for best.pdparams and dict.txt.")
@click.option("--ratio", default=0.25, show_default=True, help="Remove this share of the filters.")
@click.option("--least", default=256, show_default=True, help="Prune only layers with at least this many channels.")
@force_option("Replace existing files.")
@json_option
def prune(task: str, source: Path, out: Path, ratio: float, least: int, force: bool, as_json: bool) -> None:
    """Take filters out of a recogniser's widest layers (PaddleSlim, least L1 norm first).

    Then fit it again to win its accuracy back:
    `edge train fit rec --recipe rec-plate-160-pruned -o model.init=OUT/best.pdparams`.
    """
    from edge.base.paths import write_atomic
    from edge.model.folder import check_free, new_folder
    from train.accel.native import prepare_fit

    prepare_fit()
    from train.recipes.recipe import recipe_document
    from train.weights.checkpoint import save_best
    from train.weights.prune_filters import prune_filters
    from train.weights.trained import read_trained

    check_free(out, force)
    trained = read_trained([source], task=task)
    if trained.quantised:
        raise UsageError("Pruning starts from float weights.", "Give the run before quantisation-aware training.")
    assert trained.characters is not None
    kept = prune_filters(trained, ratio, least)
    before, after = (sum(value.size for value in values.values()) for values in (trained.values, kept))
    with new_folder(out, force) as folder:  # Whole or not at all: a fit takes whatever lies there as a network.
        save_best(folder, kept, {"step": 0, "pruned": ratio})
        write_atomic(folder / "dict.txt", "".join(f"{mark}\n" for mark in trained.characters))
        if trained.recipe:
            document = yaml.safe_dump(recipe_document(trained.recipe), allow_unicode=True, sort_keys=False)
            write_atomic(folder / "recipe.yml", document)
    if as_json:
        print_json({"folder": str(out), "parameters": {"before": int(before), "after": int(after)}})
    else:
        click.echo(f"{out}: {after:,} of {before:,} parameters; now fit it again")
