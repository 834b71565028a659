"""Intervals for scores of neighbouring, overlapping rows: the stationary block bootstrap.

Labels that look h bars ahead overlap, so rows are not independent and an interval that
treats them as such is too narrow. Resampling blocks of random length keeps the dependence
(Politis and Romano 1994); the block length is chosen by Politis and White (2004) and is
never below twice the horizon.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.blocks import resampled_sums
from v8lib.errors import ParameterError
from v8lib.metrics import binned_gap, equal_mass_bins

Array = NDArray[np.float64]
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def ci(self) -> list[float]:
        """[low, high], as JSON wants it."""
        return [self.low, self.high]


@dataclass(frozen=True)
class CalibrationExcess:
    """How far from calibrated a model is, beyond what chance shows at this number of rows.

    Attributes
    ----------
    ece : float
        Expected calibration error as measured.
    null : float
        Mean ECE of a perfectly calibrated model on rows with this dependence.
    null_high : float
        99th percentile of that ECE.
    excess : Interval
        `ece` - `null`.
    """

    ece: float
    null: float
    null_high: float
    excess: Interval


def block_length(values: Array, horizon_bars: int) -> float:
    """Return the mean block length in rows for a series of scores."""
    if np.ptp(values) < 1e-12:
        return 2.0 * horizon_bars
    from arch.bootstrap import optimal_block_length

    optimal = float(optimal_block_length(values)["stationary"].iloc[0])
    longest = len(values) / 10.0  # ten blocks at least, or there is nothing to resample
    return float(np.clip(optimal, min(2.0 * horizon_bars, longest), longest))


def _interval(value: float, draws: Array) -> Interval:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(value), float(low), float(high))


def skill_interval(
    row_loss: Array,
    row_loss_reference: Array,
    *,
    horizon_bars: int,
    reps: int,
    rng: np.random.Generator,
    runs: Sequence[int] | None = None,
) -> Interval:
    """Return 1 - loss / reference loss with its 95 % percentile interval.

    Parameters
    ----------
    row_loss, row_loss_reference : arrays of shape (n_rows,)
        Log loss of each row under the model and under the reference, same rows, in order of
        time, from a split the model was not fitted on.
    horizon_bars : int
        Horizon of the labels.
    reps : int
        Bootstrap draws.
    rng : numpy Generator
        Randomness of the draws.
    runs : sequence of int, optional
        Lengths of the unbroken runs of rows, from `windows.run_lengths`: no block crosses a
        gap. One run if absent.
    """
    length = block_length(row_loss - row_loss_reference, horizon_bars)
    both = np.column_stack([row_loss, row_loss_reference])
    own, theirs = resampled_sums(both, length, reps=reps, rng=rng, runs=runs).T
    return _interval(1.0 - row_loss.mean() / row_loss_reference.mean(), 1.0 - own / theirs)


def ratio_intervals(
    numerators: Array,
    denominators: Array,
    *,
    length: float,
    reps: int,
    rng: np.random.Generator,
    runs: Sequence[int] | None = None,
) -> list[Interval]:
    """Return sum / sum of each column with its 95 % percentile interval, n_ratios of them.

    The columns share their draws, so what adds up in the values adds up in every draw. `low`
    and `high` are NaN where a draw left a column without denominator: too few rows carry it.

    Parameters
    ----------
    numerators, denominators : arrays of shape (n_rows, n_ratios)
        Row values in order of time, from a split the model was not fitted on; denominators
        are losses and never negative.
    length : float
        Mean block length in rows, from `block_length`.
    reps, rng, runs
        As in `skill_interval`.

    Raises
    ------
    ParameterError
        If the denominators of a column sum to zero, or a sum is not a number.
    """
    both = np.hstack([numerators, denominators])
    values = _column_ratios(both.sum(axis=0))
    if np.isnan(values).any():
        raise ParameterError("no skill can be given: the reference loses nothing, or a loss is NaN")
    draws = _column_ratios(resampled_sums(both, length, reps=reps, rng=rng, runs=runs))
    return [_interval(v, d) for v, d in zip(values, draws.T, strict=True)]


def _column_ratios(sums: Array) -> Array:
    top, bottom = np.split(sums, 2, axis=-1)
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0.0)


def draws_interval(draws: Array) -> Interval:
    """Return the mean of independent draws with its 95 % Student interval, two draws at least."""
    from scipy.stats import t

    half = t.ppf((1 + LEVEL) / 2, len(draws) - 1) * draws.std(ddof=1) / len(draws) ** 0.5
    return Interval(float(draws.mean()), float(draws.mean() - half), float(draws.mean() + half))


def calibration_excess(
    probs: Array,
    labels: NDArray[np.integer],
    *,
    n_bins: int,
    horizon_bars: int,
    reps: int,
    rng: np.random.Generator,
    runs: Sequence[int] | None = None,
) -> CalibrationExcess:
    """Return the top-class ECE in excess of a perfect model's, with its 95 % interval.

    The residual of a row is its confidence minus whether the top class happened. Taking each
    bin's mean residual away leaves rows that are calibrated by construction but as noisy and
    as dependent as the real ones: resampling those gives the ECE of a perfect model.
    Resampling the residuals themselves gives the spread of the measured ECE; because every
    draw adds noise of its own, only the spread is taken from it and not the centre.

    Parameters
    ----------
    probs : array of shape (n_rows, 3)
        Calibrated probabilities, in order of time, from a split used for nothing before.
    labels : integer array of shape (n_rows,)
        What happened.
    n_bins : int
        Equal-mass bins.
    horizon_bars, reps, rng, runs
        As in `skill_interval`.
    """
    residual, bins, centred = _residuals(probs, labels, n_bins)
    measured = binned_gap(residual, bins, n_bins)
    length = block_length(residual, horizon_bars)
    both = np.hstack([_by_bin(part, bins, n_bins) for part in (residual, centred)])
    sums = resampled_sums(both, length, reps=reps, rng=rng, runs=runs)
    gaps, null = np.abs(sums.reshape(reps, 2, n_bins)).sum(axis=2).T / len(residual)
    spread = gaps - gaps.mean()
    excess = measured - null.mean()
    return CalibrationExcess(
        measured,
        float(null.mean()),
        float(np.quantile(null, 0.99)),
        _interval(excess, excess + spread),
    )


def _residuals(
    probs: Array, labels: NDArray[np.integer], n_bins: int
) -> tuple[Array, NDArray[np.integer], Array]:
    confidence = probs.max(axis=1)
    residual = confidence - (probs.argmax(axis=1) == labels)
    bins = equal_mass_bins(confidence, n_bins)
    counts = np.maximum(np.bincount(bins, minlength=n_bins), 1)
    gap = np.bincount(bins, weights=residual, minlength=n_bins) / counts
    return residual, bins, residual - gap[bins]


def _by_bin(values: Array, bins: NDArray[np.integer], n_bins: int) -> Array:
    """Return each row's value in the column of its bin, zero elsewhere, (n_rows, n_bins)."""
    spread = np.zeros((len(values), n_bins))
    spread[np.arange(len(values)), bins] = values
    return spread


def reliability_band(
    probs: Array,
    labels: NDArray[np.integer],
    *,
    n_bins: int,
    horizon_bars: int,
    reps: int,
    rng: np.random.Generator,
    runs: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Return what accuracy a perfect model would show per bin: columns low, high (95 %).

    One row per bin that has rows, in the order of `metrics.reliability_table`; parameters as
    in `calibration_excess`.
    """
    residual, bins, centred = _residuals(probs, labels, n_bins)
    length = block_length(residual, horizon_bars)
    both = np.hstack([_by_bin(part, bins, n_bins) for part in (centred, np.ones(len(bins)))])
    drawn = resampled_sums(both, length, reps=reps, rng=rng, runs=runs)
    sums, counts = np.split(drawn, 2, axis=1)
    draws = sums / np.maximum(counts, 1.0)
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    counts = np.bincount(bins, minlength=n_bins)
    confidence = np.bincount(bins, weights=probs.max(axis=1), minlength=n_bins)
    used = counts > 0
    centre = confidence[used] / counts[used]
    # The residual is confidence minus right, so accuracy is confidence minus residual.
    return pd.DataFrame({"low": centre - high[used], "high": np.minimum(centre - low[used], 1.0)})
