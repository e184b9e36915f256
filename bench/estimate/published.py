"""Paddle Lite's published benchmark: times of six networks on eight chips, as facts.

Source: docs/performance/benchmark.md of PaddlePaddle/Paddle-Lite at commit 3d329c9 (its release/v2.11, NDK r22b, one
thread bound to a big core, warm-up 20, repeats 600, mean, milliseconds; all inputs 1.0).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    """A chip of the table: name, its big core and that core's clock in MHz, int8 dot product."""

    name: str
    core: str
    mhz: int
    dot: bool


CHIPS = (
    Chip("Snapdragon 865", "cortex-a77", 2840, True),
    Chip("Snapdragon 855", "cortex-a76", 2840, True),
    Chip("Snapdragon 845", "cortex-a75", 2800, False),
    Chip("Snapdragon 835", "cortex-a73", 2450, False),
    Chip("Snapdragon 625", "cortex-a53", 1800, False),
    Chip("Kirin 990", "cortex-a76", 2860, True),
    Chip("Kirin 980", "cortex-a76", 2600, True),
    Chip("RK3399", "cortex-a72", 1800, False),
)

# Precision, ABI, network, then milliseconds in the order of CHIPS.
_ROWS = """
fp32 armv8 MobileNetV1        28.38  29.04  58.70  82.48 143.64  38.22  32.50 103.39
fp32 armv8 MobileNetV2        18.52  19.37  37.61  53.47 106.17  24.93  22.07  73.37
fp32 armv8 MobileNetV3_large  14.46  15.59  29.55  41.74  96.11  19.38  17.46  63.34
fp32 armv8 MobileNetV3_small   4.73   5.39   9.76  13.45  39.08   6.41   5.85  21.67
fp32 armv8 ResNet50          160.97 161.13 339.59 484.79 831.62 222.21 190.38 616.68
fp32 armv7 MobileNetV1        31.21  33.44  68.04  93.72 147.85  41.18  35.49 116.44
fp32 armv7 MobileNetV2        21.47  25.79  46.19  64.54 131.05  28.18  25.08  84.09
fp32 armv7 MobileNetV3_large  16.81  19.47  34.80  48.61 102.01  21.96  19.75  66.28
fp32 armv7 MobileNetV3_small   5.44   6.48  11.25  15.44  37.74   7.28   6.73  21.01
fp32 armv7 ResNet50          177.80 188.07 377.67 519.61 886.98 237.47 203.60 657.27
int8 armv8 MobileNetV1        11.18  11.86  44.12  55.57 117.41  14.75  13.58  77.60
int8 armv8 MobileNetV2        10.37  11.38  33.45  40.78  83.47  14.14  12.94  56.66
int8 armv8 MobileNetV3_large   8.03   8.88  24.32  30.57  66.76  10.41   9.57  46.66
int8 armv8 MobileNetV3_small   2.89   3.29   8.41  10.86  22.83   4.23   3.90  15.83
int8 armv8 ResNet50           64.50  66.81 263.17 331.76 690.01  82.07  74.52 473.00
int8 armv7 MobileNetV1        15.26  16.11  53.71  63.43 129.72  19.86  17.97  85.89
int8 armv7 MobileNetV2        16.44  17.96  43.67  53.32 105.39  22.08  19.90  72.77
int8 armv7 MobileNetV3_large  11.20  12.50  30.72  37.52  76.98  15.19  13.99  51.93
int8 armv7 MobileNetV3_small   4.27   4.82  10.58  13.23  26.86   5.98   5.51  18.55
int8 armv7 ResNet50           75.82  83.01 301.21 360.67 763.98  96.03  85.56 504.01
"""
MOBILE = ("MobileNetV1", "MobileNetV2", "MobileNetV3_large", "MobileNetV3_small")


def _tables() -> dict[tuple[str, str], dict[str, tuple[float, ...]]]:
    tables: dict[tuple[str, str], dict[str, tuple[float, ...]]] = {}
    for line in _ROWS.strip().splitlines():
        precision, abi, network, *values = line.split()
        tables.setdefault((precision, abi), {})[network] = tuple(map(float, values))
    return tables


# Precision and ABI to network to milliseconds, in the order of CHIPS.
TABLES = _tables()
