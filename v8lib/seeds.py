"""The one path from a seed to random numbers: a named, independent stream per purpose."""

from zlib import crc32

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator of one purpose, e.g. ``stream(seed, "BTC", "market")``.

    Streams with different names are independent, and drawing from one never moves another:
    adding a step to the suite leaves the numbers of the others as they were.
    """
    keys = [crc32(name.encode()) if isinstance(name, str) else int(name) for name in names]
    return np.random.default_rng([seed, *keys])


def torch_seed(seed: int, *names: str | int) -> int:
    """Return the seed for torch that belongs to one purpose."""
    return int(stream(seed, *names).integers(2**62))
