"""Losses, as PaddleOCR defines them for PP-OCRv3: CTC for the recogniser, DB's three maps for the detector.

PaddleOCR trains the recogniser with a second head too (GTC: attention by SAR, arXiv 1811.00751, guides the shared
backbone). It is not exported, and its published weights are not in an inference model to start from; so the kit
fine-tunes by CTC alone, and skips the `sar_head` and `gtc_head` of a training checkpoint (`train.weights.assign`).
"""

from __future__ import annotations

from dataclasses import dataclass

from train.arch.border import Tensor

EPSILON = 1e-6


def ctc_loss(logits: Tensor, labels: Tensor, lengths: Tensor) -> Tensor:
    """Mean over the batch of the CTC loss of each text (not divided by its length), blank 0, in nats.

    -ln of the summed probabilities of all paths that collapse to the text (Graves et al. 2006, "Connectionist Temporal
    Classification", section 4); PaddleOCR's `CTCLoss` takes the same mean.

    Args:
        logits: float32 [N, T, C], before softmax.
        labels: int32 [N, L], padded with anything.
        lengths: int64 [N], the characters of each text; a text that T cannot hold gives 0 (warp-ctc's convention).

    Returns:
        A float32 scalar tensor.
    """
    import paddle
    import paddle.nn.functional as F

    steps = paddle.full([logits.shape[0]], logits.shape[1], dtype="int64")
    return F.ctc_loss(logits.transpose([1, 0, 2]), labels, steps, lengths, blank=0, reduction="none").mean()


@dataclass(frozen=True)
class DBWeights:
    """Weights of the parts of the DB loss (Liao et al. 2020, section 3.5, with PaddleOCR's values).

    Attributes:
        shrink: Of the shrink map's loss.
        threshold: Of the threshold map's loss.
        binary: Of the binary map's loss.
        negative_ratio: Negative pixels kept a positive one, the hardest first (OHEM).
    """

    shrink: float = 5.0
    threshold: float = 10.0
    binary: float = 1.0
    negative_ratio: float = 3.0


def dice_loss(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """1 - 2 * intersection / (sum + sum), over the whole batch (Milletari et al. 2016, arXiv 1606.04797).

    Args:
        prediction: float32 [N, H, W], 0..1.
        target: float32 [N, H, W], 0 or 1.
        mask: float32 [N, H, W], 1 where pixels count.

    Returns:
        A float32 scalar tensor, 0 (alike) to 1.
    """
    intersection = (prediction * target * mask).sum()
    union = (prediction * mask).sum() + (target * mask).sum() + EPSILON
    return 1 - 2 * intersection / union


def balanced_bce(prediction: Tensor, target: Tensor, mask: Tensor, negative_ratio: float) -> Tensor:
    """Binary cross entropy of all positive pixels and the `negative_ratio` times as many hardest negative ones.

    Their sum divided by their number, in nats (DB, arXiv 1911.08947, section 3.5: hard negative mining at 3 to 1).

    Args:
        prediction: float32 [N, H, W], 0..1.
        target: float32 [N, H, W], 0 or 1.
        mask: float32 [N, H, W], 1 where pixels count.
        negative_ratio: See `DBWeights`.

    Returns:
        A scalar tensor; without any positive pixel it is 0, for there is no negative one to weigh against it.
    """
    import paddle
    import paddle.nn.functional as F

    positive, negative = target * mask, (1 - target) * mask
    positives = int(positive.sum().item())
    negatives = min(int(negative.sum().item()), int(positives * negative_ratio))
    loss = F.binary_cross_entropy(prediction, target, reduction="none")
    total = (loss * positive).sum()
    if negatives > 0:
        hardest, _ = paddle.topk((loss * negative).reshape([-1]), negatives)
        total = total + hardest.sum()
    return total / (positives + negatives + EPSILON)


def masked_l1(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference over the pixels of a mask: DB's loss of the threshold map.

    Args:
        prediction: float32 [N, H, W].
        target: float32 [N, H, W].
        mask: float32 [N, H, W], 1 where pixels count.

    Returns:
        A float32 scalar tensor; 0 when the mask is empty.
    """
    return ((prediction - target).abs() * mask).sum() / (mask.sum() + EPSILON)


def db_loss(maps: Tensor, targets: Tensor, weights: DBWeights) -> dict[str, Tensor]:
    """The loss of a DB detector: the weighted sum of its maps' losses (DB, section 3.5).

    Args:
        maps: float32 [N, 3, H, W]: shrink, threshold and binary map as predicted.
        targets: float32 [N, 4, H, W]: shrink map, its mask, threshold map, its mask.
        weights: Weights of the parts.

    Returns:
        Scalar tensors: `loss` and its weighted parts `shrink`, `threshold`, `binary`.
    """
    shrink, threshold, binary = (maps[:, index] for index in range(3))
    target, mask, border, border_mask = (targets[:, index] for index in range(4))
    parts = {
        "shrink": weights.shrink * balanced_bce(shrink, target, mask, weights.negative_ratio),
        "threshold": weights.threshold * masked_l1(threshold, border, border_mask),
        "binary": weights.binary * dice_loss(binary, target, mask),
    }
    return {"loss": parts["shrink"] + parts["threshold"] + parts["binary"], **parts}
