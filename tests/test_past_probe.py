from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from v8lib import labels, past_probe, preparation, scaling, splits

HORIZON_BARS, WINDOW_BARS = 4, 2_880
SETTINGS = {"window_bars": WINDOW_BARS, "threshold_bps": 1.0, "sigmas": 0.43}
STORED = "a stored label is not the one its horizon gives"
EARLY = "a label is known before its horizon is over"
THRESHOLD = "a threshold is not known at its bar"
MOVES = "a label moves with bars after its horizon"


def make(bars, scheme="trailing_tercile", horizon_bars=HORIZON_BARS):
    return labels.make_labels(bars, scheme=scheme, horizon_bars=horizon_bars, **SETTINGS)


def misplaced(prepared, n_cuts=6, seed=0):
    return past_probe.labels_misplaced(
        prepared,
        horizon_bars=HORIZON_BARS,
        window_bars=WINDOW_BARS,
        n_cuts=n_cuts,
        rng=np.random.default_rng(seed),
    )


def moved(prepared):
    rng = np.random.default_rng(1)
    return past_probe.past_moved(prepared, horizon_bars=HORIZON_BARS, rng=rng)


@pytest.fixture(scope="module")
def with_labels(market_bars, steps):
    """Everything as the suite does it, but for the labels."""

    def build(function, bars=market_bars):
        return preparation.prepare(bars, replace(steps, labels=function))

    return build


@pytest.mark.parametrize("scheme", ["trailing_tercile", "fixed", "vol_scaled", "triple_barrier"])
def test_honest_labels_of_every_scheme_are_where_they_belong(with_labels, scheme):
    assert misplaced(with_labels(partial(make, scheme=scheme)), n_cuts=12) == []


def test_honest_labels_beside_gaps_are_where_they_belong(with_labels, market_bars):
    bars = market_bars.drop(market_bars.index[2_600])
    made = with_labels(make, bars)
    for seed in range(3):
        assert misplaced(made, n_cuts=12, seed=seed) == []


def test_a_stored_label_that_is_another_is_named(prepared):
    turned = replace(prepared.rows, labels=(prepared.rows.labels + 1) % 3)
    assert misplaced(replace(prepared, rows=turned)) == [STORED]


def test_labels_of_too_short_a_horizon_are_known_too_early(with_labels):
    """The stored ones come from the same wrong step, so only the time can give them away."""
    assert misplaced(with_labels(partial(make, horizon_bars=3))) == [EARLY]


def test_labels_of_too_long_a_horizon_move_and_are_not_what_their_horizon_gives(with_labels):
    assert misplaced(with_labels(partial(make, horizon_bars=6))) == sorted([STORED, MOVES])


def test_labels_of_the_past_are_known_too_early(with_labels):
    def backward(bars):
        made = make(bars)
        shifted = np.concatenate([np.full(HORIZON_BARS, labels.MISSING), made.labels])
        return replace(made, labels=shifted[: len(bars)])

    assert EARLY in misplaced(with_labels(backward))


def test_a_threshold_of_the_whole_sample_is_named(with_labels):
    def of_all(bars):
        made = make(bars)
        cut = np.nanquantile(np.abs(made.forward_return), 1 / 3)
        threshold = np.where(np.isfinite(made.threshold), cut, np.nan)
        happened = 1 + np.sign(made.forward_return) * (np.abs(made.forward_return) > cut)
        known = made.labels != labels.MISSING
        found = np.where(known, np.nan_to_num(happened), labels.MISSING).astype(np.int64)
        return replace(made, labels=found, threshold=threshold)

    assert THRESHOLD in misplaced(with_labels(of_all))


def test_a_label_smoothed_over_later_ones_moves(with_labels):
    """The majority of a bar's label and those of the bars after it, which nobody knows yet."""

    def smoothed(bars):
        made = make(bars)
        out = made.labels.copy()
        for t in np.flatnonzero(out != labels.MISSING)[:-8]:
            ahead = made.labels[t : t + 9]
            out[t] = np.bincount(ahead[ahead != labels.MISSING], minlength=3).argmax()
        return replace(made, labels=out)

    assert MOVES in misplaced(with_labels(smoothed), n_cuts=20)


def test_honest_steps_leave_the_past_as_it_was(prepared):
    assert moved(prepared) == []


def test_a_scaler_fitted_on_all_rows_is_named(market_bars, steps):
    def of_all(rows, split, names):
        return scaling.fit_scaler(rows.features, names, clip_sigma=8.0)

    assert moved(preparation.prepare(market_bars, replace(steps, scaler=of_all))) == ["scaler"]


@pytest.mark.parametrize("part", ["mean", "std"])
def test_a_mean_or_a_scale_alone_that_knows_the_future_is_named(market_bars, steps, part):
    def of_all(rows, split, names):
        honest = steps.scaler(rows, split, names)
        known = getattr(rows.features.astype(np.float64), part)(axis=0)
        return replace(honest, **{{"mean": "mean", "std": "scale"}[part]: known})

    assert moved(preparation.prepare(market_bars, replace(steps, scaler=of_all))) == ["scaler"]


def test_splits_that_depend_on_what_comes_later_are_named(with_labels):
    """The largest moves of all are left out: which ones those are, only the end tells."""

    def without_extremes(bars):
        made = make(bars)
        size = np.abs(made.forward_return)
        wild = size > np.nanquantile(size, 0.9)
        return replace(made, labels=np.where(wild, labels.MISSING, made.labels))

    found = moved(with_labels(without_extremes))
    assert {"split train", "split valid", "split calib"} <= set(found)


def test_labels_that_depend_on_what_comes_later_are_named(with_labels):
    """The cut is a quantile over the whole of the bars; the splits stay as they are."""

    def of_all(bars):
        made = make(bars)
        cut = np.nanquantile(np.abs(made.forward_return), 1 / 3)
        happened = 1 + np.sign(made.forward_return) * (np.abs(made.forward_return) > cut)
        found = np.where(made.labels == labels.MISSING, made.labels, np.nan_to_num(happened))
        return replace(made, labels=found.astype(np.int64))

    found = moved(with_labels(of_all))
    assert {"labels of train", "labels of valid", "labels of calib"} <= set(found)
    assert not {"split train", "split valid", "split calib"} & set(found)


def test_a_split_that_reads_the_last_price_is_named(market_bars, steps):
    """It drops one row, and which one only the end of the bars tells."""
    last = []

    def watched(bars):
        last.append(float(bars["close"].iloc[-1]))
        return make(bars)

    def by_last_price(usable):
        dropped = 3_000 + int(1e9 * last[-1]) % 97
        return steps.split(usable & (np.arange(len(usable)) != dropped))

    made = preparation.prepare(market_bars, replace(steps, labels=watched, split=by_last_price))
    # The scaler of another train is another.
    assert moved(made) == ["split train", "scaler"]


def test_one_fold_is_probed_like_several(market_bars, steps):
    def single(usable):
        return [
            splits.split_by_time(
                usable, horizon_bars=4, train_share=0.6, valid_share=0.1, calib_share=0.1
            )
        ]

    assert moved(preparation.prepare(market_bars, replace(steps, split=single))) == []
