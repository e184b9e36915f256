"""One set of settings that `bench tune` tries."""

from __future__ import annotations

from dataclasses import dataclass

from bench.plan.plan import Cell


@dataclass(frozen=True)
class Candidate:
    """One set of settings.

    Attributes:
        cell: Models, precision, threads, power mode, detector's input size.
        decode: `greedy` or `plate`.
    """

    cell: Cell
    decode: str

    @property
    def key(self) -> str:
        """Name, also of its folder."""
        return f"{self.cell.key}_{self.decode}"

    def settings(self) -> dict[str, str]:
        """As keys of `plate.conf`."""
        return {
            "threads": str(self.cell.threads),
            "power_mode": self.cell.power_mode,
            "det_limit_type": self.cell.side.kind,
            "det_limit_side": str(self.cell.side.pixels),
            "decode": self.decode,
        }
