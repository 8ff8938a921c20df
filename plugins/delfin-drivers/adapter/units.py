"""One meaning of `MB/s`: 1,000,000 bytes per second."""

from __future__ import annotations

from typing import Dict, Tuple

UNIT = "MB/s"

#: The bytes that the drivers of a model call a megabyte. The others pass on what the array counts.
BYTES: Dict[Tuple[str, str], int] = {
    # Bytes divided by 1,000.
    ("dellemc", "unity"): 1_000,
    # Bytes divided by 2^20.
    ("dellemc", "powerstore"): 1 << 20,
    ("ibm", "storwize_svc"): 1 << 20,
    ("inspur", "as5500"): 1 << 20,
    ("macrosan", "macrosan"): 1 << 20,
    ("netapp", "cmode"): 1 << 20,
    ("pure", "flasharray"): 1 << 20,
    # Kilobytes divided by 1,000.
    ("h3c", "unistor_cf"): 1_000_000,
    ("hpe", "3par"): 1_000_000,
    ("hpe", "primera"): 1_000_000,
}


def factor(model: Tuple[str, str], unit: object) -> float:
    """What a value of this unit has to be multiplied with."""
    return BYTES.get(model, 1_000_000) / 1_000_000 if unit == UNIT else 1.0
