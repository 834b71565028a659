"""Rows drawn in blocks of neighbours, never across a gap: the draws behind every interval.

The stationary bootstrap (Politis and Romano 1994) draws blocks of geometric length from random
starts and goes round the end of the series. With gaps in the series the same is done inside each
unbroken run: rows on both sides of a gap are no neighbours, and a block that joined them would
take one market state for the next.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from v8lib.errors import ParameterError

Rows = NDArray[np.int64]


def resampled_rows(
    n_rows: int,
    length: float,
    *,
    reps: int,
    rng: np.random.Generator,
    runs: Sequence[int] | None = None,
) -> Iterator[Rows]:
    """Yield `reps` draws of row numbers, (n_rows,) each.

    Parameters
    ----------
    n_rows : int
        Rows of the series.
    length : float
        Mean block length in rows, at least 1.
    reps, rng
        Number of draws, and their randomness.
    runs : sequence of int, optional
        Lengths of the unbroken runs of rows, from `windows.run_lengths`; one run if absent.

    Raises
    ------
    ParameterError
        If the runs do not add up to the rows.
    """
    runs = [n_rows] if runs is None else runs
    if sum(runs) != n_rows or min(runs) < 1:
        raise ParameterError(f"runs of {sum(runs)} rows do not make up a series of {n_rows}")
    if len(runs) > 1:
        sizes = np.asarray(runs)
        for _ in range(reps):
            yield _blocks_inside(sizes, n_rows, length, rng)
        return
    # Imported here: arch takes a second, which who only wants a gate's limits need not wait for.
    from arch.bootstrap import StationaryBootstrap

    bootstrap = StationaryBootstrap(length, np.arange(n_rows), seed=rng)
    for (rows,), _ in bootstrap.bootstrap(reps):
        yield rows


def _blocks_inside(runs: Rows, n_rows: int, length: float, rng: np.random.Generator) -> Rows:
    """Return one draw: blocks that go round the end of the run they start in."""
    starts, sizes = [], []
    while sum(int(part.sum()) for part in sizes) < n_rows:
        n_blocks = int(n_rows / length) + 16
        starts.append(rng.integers(n_rows, size=n_blocks))
        sizes.append(rng.geometric(1.0 / length, size=n_blocks))
    start, size = np.concatenate(starts), np.concatenate(sizes)
    ends = np.cumsum(size)
    block = np.searchsorted(ends, np.arange(n_rows), side="right")  # of each drawn row
    within = np.arange(n_rows) - (ends - size)[block]
    run = np.searchsorted(np.cumsum(runs), start, side="right")  # of each block
    first, long = (np.cumsum(runs) - runs)[run][block], runs[run][block]
    return first + (start[block] - first + within) % long
