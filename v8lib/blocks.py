"""Draws in blocks of neighbouring rows, never across a gap: what stands behind every interval.

The stationary bootstrap (Politis and Romano 1994) draws blocks of geometric length from random
starts and goes round the end of the series. With gaps in the series the same is done inside each
unbroken run: rows on both sides of a gap are no neighbours, and a block that joined them would
take one market state for the next.

Every score with an interval is made of sums over rows, and the sum over a block is a difference
of two running sums. So a draw costs as many steps as it has blocks, not as many as it has rows.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from v8lib.errors import ParameterError

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
BLOCKS_AT_A_TIME = 1 << 16  # of as many draws as that makes
BLOCKS_IN_CACHE = 1 << 13  # summed at a time


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
    sizes = _checked(runs, n_rows)
    for starts, lengths in _blocks(n_rows, length, reps, rng):
        for start, size in zip(starts, lengths, strict=True):
            block = np.repeat(np.arange(len(size)), size)  # of each drawn row
            within = np.arange(n_rows) - (np.cumsum(size) - size)[block]
            first, long = _run_of(start, sizes)
            yield first[block] + ((start - first)[block] + within) % long[block]


def resampled_sums(
    values: Array,
    length: float,
    *,
    reps: int,
    rng: np.random.Generator,
    runs: Sequence[int] | None = None,
) -> Array:
    """Return the column sums over the rows of each draw, shape (reps, n_columns).

    The same draws as `resampled_rows` gives with a generator in the same state, without
    looking at every row of every draw.

    Parameters
    ----------
    values : array of shape (n_rows, n_columns)
        One row per bar, in order of time.
    length, reps, rng, runs
        As in `resampled_rows`.

    Raises
    ------
    ParameterError
        If the runs do not add up to the rows.
    """
    n_rows, n_columns = values.shape
    sizes = _checked(runs, n_rows)
    before = np.zeros((n_rows + 1, n_columns))  # sums of all rows before each
    np.cumsum(values, axis=0, out=before[1:])
    sums = []
    for starts, lengths in _blocks(n_rows, length, reps, rng):
        at_a_time = max(1, BLOCKS_IN_CACHE // starts.shape[1])
        for draw in range(0, len(starts), at_a_time):
            some = slice(draw, draw + at_a_time)
            sums.append(_sums(before, starts[some], lengths[some], sizes))
    return np.concatenate(sums)


def _sums(before: Array, starts: Rows, lengths: Rows, sizes: Rows) -> Array:
    """Return the sums of draws, (n_draws, n_columns), from the sums of all rows before each."""
    first, long = _run_of(starts, sizes)
    end = starts - first + lengths
    rounds = end // long  # times the block went round the end of its run
    drawn = before.take(first + (end - rounds * long), axis=0)
    drawn -= before.take(starts, axis=0)
    went = rounds > 0
    begin, over = first[went], long[went]
    drawn[went] += rounds[went][:, None] * (before[begin + over] - before[begin])
    return drawn.sum(axis=1)  # an empty block is the difference of a sum from itself


def _checked(runs: Sequence[int] | None, n_rows: int) -> Rows:
    sizes = np.asarray([n_rows] if runs is None else runs, dtype=np.int64)
    if sizes.sum() != n_rows or sizes.min() < 1:
        raise ParameterError(f"runs of {sizes.sum()} rows do not make up a series of {n_rows}")
    return sizes


def _run_of(start: Rows, sizes: Rows) -> tuple[Rows, Rows]:
    """Return where the run of each block begins, and how many rows it has."""
    if len(sizes) == 1:  # one number, seen everywhere: what is divided by it takes less time
        return np.broadcast_to(0, start.shape), np.broadcast_to(sizes[0], start.shape)
    ends = np.cumsum(sizes)
    run = np.searchsorted(ends, start, side="right")
    return (ends - sizes)[run], sizes[run]


def _blocks(
    n_rows: int, length: float, reps: int, rng: np.random.Generator
) -> Iterator[tuple[Rows, Rows]]:
    """Yield starts and lengths of blocks, (some draws, n_blocks) each, until `reps` draws.

    The lengths of each draw add up to the rows: the last block is cut, those after it are empty.
    """
    mean = n_rows / length
    wide = int(mean + 6.0 * mean**0.5) + 16
    at_a_time = max(1, BLOCKS_AT_A_TIME // wide)
    for done in range(0, reps, at_a_time):
        shape = (min(at_a_time, reps - done), wide)
        starts, ends = np.empty((shape[0], 0), np.int64), np.zeros((shape[0], 1), np.int64)
        while ends[:, -1].min() < n_rows:  # once, but for one draw in a very great many
            starts = np.hstack([starts, rng.integers(n_rows, size=shape)])
            longer = np.cumsum(rng.geometric(1.0 / length, size=shape), axis=1)
            ends = np.hstack([ends, ends[:, -1:] + longer])
        yield starts, np.diff(np.minimum(ends, n_rows), axis=1)
