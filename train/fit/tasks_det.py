"""The detector: DB loss, and hmean of the boxes that the pipeline's own post-processing finds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edge.base.progress import Say
from edge.plate.label_notes import tell
from train.arch.border import Arrays, Layer, Tensor
from train.recipes.recipe import Recipe

if TYPE_CHECKING:
    from train.data.det_batches import DetBatch


class DetTask:
    """See the module and `train.fit.tasks.Task`."""

    def __init__(
        self, recipe: Recipe, characters: None = None, ranks: tuple[int, int] = (0, 1), note: Say = tell
    ) -> None:
        from train.data.det_batches import DetData

        self.recipe = recipe
        self.rank, self.world = ranks
        self.data = DetData(recipe, note)

    def batch(self, step: int) -> DetBatch:
        """See `Task`."""
        return self.data.batch(self.recipe.seed, step * self.world + self.rank, self.recipe.batch)

    def loss(self, net: Layer, batch: DetBatch) -> dict[str, Tensor]:
        """See `Task`."""
        import paddle

        from train.fit.losses import DBWeights, db_loss

        return db_loss(net(paddle.to_tensor(batch.images)), paddle.to_tensor(batch.targets), DBWeights())

    def validate(self, net: Layer) -> dict[str, float]:
        """Precision, recall and hmean at IoU 0.5, and the mean IoU of what was found, which tells equals apart.

        Where no photo is held out, or only ones without a plate that counts, there are no such figures.
        """
        import paddle

        from edge.ocr.detect import det_post, det_pre
        from edge.plate.metrics import DetMetric
        from edge.plate.polygon import overlap
        from train.data.dataset import read_image

        config = replace(
            self.data.config,
            det_limit_type="max",
            det_limit_side=self.recipe.data.eval_side,
            det_unclip_ratio=self.recipe.data.eval_unclip,
            det_dilation=False,
        )
        metric = DetMetric()
        overlaps: list[float] = []
        for sample in self.data.validation:
            image = read_image(sample.path)
            with paddle.no_grad():
                values = net(paddle.to_tensor(det_pre(image, config))).numpy()
            boxes = det_post(values, image.shape[1], image.shape[0], config)
            truth = [plate.quad for plate in sample.plates]
            metric.add(boxes, truth, [plate.ignored for plate in sample.plates])
            overlaps += [max((overlap(quad, box) for box in boxes), default=0.0) for quad in truth]
        figures = metric.result()
        if not figures.truth:
            return {"samples": 0, "score": 0.0}
        mean = float(np.mean(overlaps)) if overlaps else 0.0
        return {
            "precision": figures.precision,
            "recall": figures.recall,
            "hmean": figures.hmean,
            "iou": mean,
            "samples": figures.images,
            "score": figures.hmean + 0.1 * mean,
        }

    def arrays(self, batch: DetBatch) -> Arrays:
        """See `Task`."""
        return {"images": batch.images, "targets": batch.targets}
