"""Photometric augmentation: what weather, optics, sensors and compression do to a plate.

Every function takes a uint8 BGR image [height, width, 3] and a `numpy.random.Generator` and returns a uint8 image of
the same shape; nothing else decides the result, so a sample can be made again from its seed.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from edge.ocr.image import Image
from train.augment import weather

Random = np.random.Generator


def exposure(image: Image, rng: Random) -> Image:
    """Brightness, contrast and gamma: dusk, backlight, over-exposure."""
    gamma = float(np.exp(rng.normal(0, 0.35)))
    gain = float(np.exp(rng.normal(0, 0.25)))
    shift = float(rng.normal(0, 22))
    table = np.clip(255 * (np.arange(256) / 255) ** gamma * gain + shift, 0, 255).astype(np.uint8)
    return cv2.LUT(image, table)


def colour(image: Image, rng: Random) -> Image:
    """Hue, saturation and white balance."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    hue = (np.arange(256) + int(rng.integers(-12, 13))) % 180
    saturation = np.clip(np.arange(256) * rng.uniform(0.4, 1.5), 0, 255)
    hsv[..., 0] = cv2.LUT(hsv[..., 0], hue.astype(np.uint8))
    hsv[..., 1] = cv2.LUT(hsv[..., 1], saturation.astype(np.uint8))
    balanced = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
    gains = np.exp(rng.normal(0, 0.12, 3))
    tables = [np.clip(np.arange(256) * gain, 0, 255).astype(np.uint8) for gain in gains]
    return cv2.LUT(balanced, np.stack(tables, axis=-1)[None])


def gradient(image: Image, rng: Random) -> Image:
    """A shadow or a light that changes along one direction."""
    height, width = image.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    along = (x / max(1, width) - 0.5) * np.cos(angle) + (y / max(1, height) - 0.5) * np.sin(angle)
    sharp = rng.uniform(1, 12)
    edge = 1 / (1 + np.exp(-sharp * (along - rng.uniform(-0.3, 0.3))))
    factor = 1 + (rng.uniform(0.35, 1.6) - 1) * edge
    return np.asarray(np.clip(image * factor[..., None], 0, 255), np.uint8)


def defocus(image: Image, rng: Random, plate: int = 0) -> Image:
    """Gaussian blur up to 3 % of the plate's height in sigma (48 lines: 1.4 lines); `plate` 0 is the image's height."""
    return weather.defocus(image, rng.uniform(0.2, 0.03 * (plate or image.shape[0]) + 0.4))


def motion(image: Image, rng: Random, plate: int = 0) -> Image:
    """Motion blur in a random direction, at most an eighth of the plate's height long; `plate` as in `defocus`."""
    length = int(rng.integers(2, max(3, (plate or image.shape[0]) // 8) + 1))
    return weather.blur_along(image, length, rng.uniform(0, np.pi), cv2.BORDER_REPLICATE)


def low_resolution(image: Image, rng: Random) -> Image:
    """Shrinks to 30 to 80 % of the height, and enlarges again."""
    height, width = image.shape[:2]
    ratio = rng.uniform(0.3, 0.8)
    small = (max(4, round(width * ratio)), max(4, round(height * ratio)))
    down = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_NEAREST)[int(rng.choice(3, p=(0.5, 0.4, 0.1)))]
    up = (cv2.INTER_LINEAR, cv2.INTER_CUBIC)[int(rng.integers(2))]
    return cv2.resize(cv2.resize(image, small, interpolation=down), (width, height), interpolation=up)


def noise(image: Image, rng: Random) -> Image:
    """Sensor noise, of luminance or of each channel."""
    channels = 1 if rng.random() < 0.5 else 3
    grain = rng.standard_normal((*image.shape[:2], channels), dtype=np.float32) * rng.uniform(2, 18)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def compression(image: Image, rng: Random) -> Image:
    """JPEG of quality 12 to 80."""
    return weather.jpeg(image, int(rng.integers(12, 81)))


def specks(image: Image, rng: Random, plate: int = 0) -> Image:
    """Snow flakes or rain drops: up to 25 light, half transparent blobs or streaks on a plate's area (`defocus`)."""
    height, width = image.shape[:2]
    unit = plate or height
    most = max(3, int(25 * height * width / (unit * unit * 3.3)))
    layer = np.zeros((height, width), np.uint8)
    streaks = rng.random() < 0.5
    lean = rng.uniform(-0.4, 0.4)
    for _ in range(int(rng.integers(2, min(most, 400) + 1))):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        strength = int(rng.integers(60, 230))
        if streaks:
            length = rng.uniform(0.05, 0.25) * unit
            cv2.line(layer, (x, y), (int(x + lean * length), int(y + length)), strength, 1, cv2.LINE_AA)
        else:
            cv2.circle(layer, (x, y), int(rng.integers(0, max(1, unit // 16) + 1)), strength, -1, cv2.LINE_AA)
    layer = cv2.GaussianBlur(layer, (0, 0), rng.uniform(0.3, 1.0))
    alpha = (layer.astype(np.float32) / 255)[..., None]
    return np.asarray(image * (1 - alpha) + rng.uniform(180, 255) * alpha, np.uint8)


def haze(image: Image, rng: Random) -> Image:
    """Fog or a wet lens: contrast lost towards grey."""
    amount = rng.uniform(0.1, 0.55)
    return (image * (1 - amount) + rng.uniform(90, 220) * amount).astype(np.uint8)


def dirt(image: Image, rng: Random) -> Image:
    """One to three small patches of mud or snow, each a few per cent of the height."""
    height, width = image.shape[:2]
    result = image.copy()
    for _ in range(int(rng.integers(1, 4))):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(1 + rng.uniform(0.02, 0.10) * height), int(1 + rng.uniform(0.02, 0.10) * height))
        tone = int(rng.integers(30, 240))
        cv2.ellipse(result, centre, axes, rng.uniform(0, 180), 0, 360, (tone, tone, tone), -1, cv2.LINE_AA)
    return result


CHANCES: tuple[tuple[Callable[[Image, Random], Image], float], ...] = (
    (exposure, 0.6),
    (colour, 0.5),
    (gradient, 0.2),
    (haze, 0.12),
    (dirt, 0.08),
    (specks, 0.2),
    (defocus, 0.3),
    (motion, 0.15),
    (low_resolution, 0.3),
    (noise, 0.3),
    (compression, 0.3),
)
"""Each effect and its chance at strength 1, in the order in which light meets them."""


def photometric(image: Image, rng: Random, strength: float = 1.0) -> Image:
    """Applies each effect with its chance.

    Args:
        image: uint8 [height, width, 3].
        rng: The only source of chance.
        strength: Multiplies the chances; 0 returns the image unchanged.
    """
    for effect, chance in CHANCES:
        if rng.random() < chance * strength:
            image = effect(image, rng)
    return image
