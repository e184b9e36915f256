"""The command group `edge train`."""

from __future__ import annotations

import click

from edge.terminal.lazy_group import LazyGroup

COMMANDS: dict[str, tuple[str, str]] = {
    "pretrained": ("train.commands.pretrained:pretrained", "Write the published PP-OCRv3 as inference models."),
    "labels": ("train.commands.labels:labels", "Make PP-OCR label files and crops from CCPD photos."),
    "synth": ("train.commands.synth:synth", "Render plates in scenes, with CCPD names."),
    "stats": ("train.commands.stats:stats", "Show what a data set holds."),
    "fit": ("train.commands.fit:fit", "Fine-tune a detector or a recogniser."),
    "prune": ("train.commands.prune:prune", "Take filters out of a recogniser's widest layers."),
    "quantize": ("train.commands.quantize:quantize", "Quantise to int8 by QAT or PTQ."),
    "export": ("train.commands.export:export", "Write a run as an inference model, then measure it."),
    "eval": ("train.commands.evaluate:evaluate", "Measure a detector, a recogniser, or both end to end."),
    "ladder": ("train.commands.ladder:ladder", "Print the application note's ladder, ours beside the note's."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
def train() -> None:
    """Make weights and data; fit, quantise and evaluate models."""
