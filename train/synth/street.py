"""What stands around a parked car: road, trees, houses with signs; and what cameras write into photos."""

from __future__ import annotations

import cv2
import numpy as np

from edge.ocr.image import Image
from edge.plate.country import Country
from train.augment import weather as effects
from train.synth.glyphs import write_text


def render_street(rng: np.random.Generator, size: tuple[int, int], country: Country) -> Image:
    """Draws a background without a car.

    Args:
        rng: Source of chance.
        size: Width and height in pixels.
        country: Whose words stand on its signs.

    Returns:
        uint8 BGR array.
    """
    width, height = size
    horizon = int(height * rng.uniform(0.16, 0.42))
    street = np.zeros((height, width, 3), np.uint8)
    way = rng.random()
    if way < 0.4:
        _trees(rng, street[:horizon])
    elif way < 0.8:
        _houses(rng, street[:horizon], country)
    else:
        _wall(rng, street[:horizon], country)
    _road(rng, street[horizon:])
    return street


def _trees(rng: np.random.Generator, area: Image) -> None:
    height, width = area.shape[:2]
    leaves = effects.noise_field(rng, (width, height), (9.0, 31.0, 90.0, 200.0))
    leaves = np.clip((leaves - 0.5) * 2.6 + 0.5, 0, 1)[:, :, None]
    dark = np.array(rng.integers((10, 25, 15), (40, 60, 40)), np.float32)
    light = np.array(rng.integers((60, 120, 80), (190, 220, 200)), np.float32)
    area[:] = (dark + (light - dark) * leaves).astype(np.uint8)
    for _ in range(int(rng.integers(0, 4))):
        x = int(rng.integers(width))
        cv2.line(
            area, (x, 0), (x + int(rng.integers(-20, 21)), height), (40, 52, 60), int(rng.integers(8, 34)), cv2.LINE_AA
        )


def _houses(rng: np.random.Generator, area: Image, country: Country) -> None:
    height, width = area.shape[:2]
    sky = np.array(rng.integers((190, 170, 150), (245, 235, 230)), np.uint8)
    area[:] = sky
    x = 0
    while x < width:
        breadth = int(rng.integers(120, 420))
        top = int(rng.integers(0, max(1, height // 2)))
        tone = int(rng.integers(60, 205))
        colour = tuple(int(np.clip(tone + rng.integers(-25, 26), 0, 255)) for _ in range(3))
        cv2.rectangle(area, (x, top), (x + breadth, height), colour, -1)
        step_x, step_y = int(rng.integers(36, 80)), int(rng.integers(40, 90))
        pane = tuple(int(channel * 0.5) for channel in colour)
        for wy in range(top + 14, height - 30, step_y):
            for wx in range(x + 12, x + breadth - step_x // 2, step_x):
                cv2.rectangle(area, (wx, wy), (wx + step_x // 2, wy + step_y // 2), pane, -1)
        if rng.random() < 0.7 and height > 120:
            y = int(rng.integers(height // 2, height - 50))
            board = tuple(int(channel) for channel in rng.integers(20, 230, 3))
            cv2.rectangle(area, (x, y), (x + breadth, y + 48), board, -1)
            ink = (240, 240, 240) if sum(board) < 380 else (30, 30, 160)
            words, size = str(rng.choice(country.words["signs"])), int(rng.integers(24, 36))
            write_text(area, words, (x + 14, y + 8), size, ink, country)
        x += breadth + int(rng.integers(0, 40))
    area[:] = effects.multiply(area, 0.8 + 0.35 * effects.noise_field(rng, (width, height), (5.0, 60.0, 200.0)))


def _wall(rng: np.random.Generator, area: Image, country: Country) -> None:
    height, width = area.shape[:2]
    colour = np.array(rng.integers((50, 60, 70), (210, 215, 220)), np.uint8)
    area[:] = colour
    brick = int(rng.integers(26, 60))
    line = tuple(int(channel * 0.75) for channel in colour)
    for row, y in enumerate(range(0, height, brick)):
        cv2.line(area, (0, y), (width, y), line, 2)
        for x in range((row % 2) * brick, width, brick * 2):
            cv2.line(area, (x, y), (x, y + brick), line, 2)
    area[:] = effects.multiply(area, 0.75 + 0.45 * effects.noise_field(rng, (width, height), (4.0, 40.0, 240.0)))
    if rng.random() < 0.5 and height > 120:
        words = str(rng.choice(country.words["signs"]))
        at = (int(rng.integers(20, width // 2)), height // 3)
        write_text(area, words, at, 44, (40, 40, 190), country)


def _road(rng: np.random.Generator, area: Image) -> None:
    height, width = area.shape[:2]
    tone = rng.uniform(70, 165)
    tint = np.array((tone * rng.uniform(0.94, 1.08), tone, tone * rng.uniform(0.94, 1.06)), np.float32)
    grain = effects.noise_field(rng, (width, height), (3.0, 20.0, 120.0, 360.0))
    area[:] = np.clip(tint * (0.72 + 0.56 * grain[:, :, None]), 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 3))):
        # Lines on the ground run to a common point at the horizon.
        foot = int(rng.uniform(-0.4, 1.4) * width)
        far = int(width / 2 + (foot - width / 2) * 0.25)
        line = np.array([(far - 3, 0), (far + 3, 0), (foot + 30, height), (foot - 30, height)], np.int32)
        cv2.fillPoly(area, [line], (205, 210, 212) if rng.random() < 0.7 else (60, 170, 210), cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 40))):
        centre = (int(rng.integers(width)), int(rng.integers(height // 2, height)))
        leaf = (int(rng.integers(20, 70)), int(rng.integers(90, 190)), int(rng.integers(110, 210)))
        cv2.ellipse(
            area, centre, (int(rng.integers(3, 9)), 3), float(rng.uniform(0, 180)), 0, 360, leaf, -1, cv2.LINE_AA
        )


def stamp(rng: np.random.Generator, photo: Image, country: Country) -> None:
    """Writes a camera's date and place into a corner, in place."""
    height = photo.shape[0]
    when = (
        f"20{rng.integers(15, 25)}-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d} "
        f"{rng.integers(24):02d}:{rng.integers(60):02d}:{rng.integers(60):02d}"
    )
    y = 16 if rng.random() < 0.5 else height - 52
    write_text(photo, when, (20, y), 28, (235, 235, 235) if rng.random() < 0.7 else (30, 160, 250), country)
    if rng.random() < 0.5:
        write_text(photo, f"CAM {rng.integers(1, 20):02d}", (560, y), 28, (235, 235, 235), country)
