from dataclasses import replace

import numpy as np
import pytest

from v8lib import many_runtimes
from v8lib.errors import BundleError, FeatureError


@pytest.fixture(scope="module")
def rows(market_features, split):
    return market_features[split.test][:40]


def expected(runtimes, rows):
    return [made.predict(row) for made, row in zip(runtimes, rows, strict=True)]


def varied(made, k):
    """The model with its own scaler, offsets, calibration and confidence bar."""
    scaler = replace(made.scaler, mean=made.scaler.mean + 0.1 * k, clip_sigma=8.0 - 3.5 * k)
    members = tuple(
        replace(
            m, calibration=replace(m.calibration, smoothing=0.1 - 0.02 * k, gamma=2.0 - 0.3 * k)
        )
        for m in made.members
    )
    return replace(
        made,
        members=members,
        scaler=scaler,
        offsets=8.0 * np.roll(made.offsets, k),
        min_confidence=0.6 - 0.08 * k,
    )


@pytest.fixture(scope="module")
def models(make_runtime):
    """Models that differ in every part, of three kinds that cannot be stacked together."""
    return [
        *(varied(make_runtime(seeds=(3 + k,)), k) for k in range(3)),
        varied(make_runtime("batch"), 1),
        make_runtime(seeds=(3, 4)),
        make_runtime(inverse_temperature=0.0),
        varied(make_runtime(seeds=(5, 6)), 2),
    ]


def check(runtimes, rows):
    said, singly = many_runtimes.predict_many(runtimes, rows), expected(runtimes, rows)
    for name in ("logits", "probs"):
        whole = np.concatenate([getattr(p, name) for p in singly])
        np.testing.assert_allclose(getattr(said, name), whole, rtol=0.0, atol=1e-12)
    for name in ("decisions", "actionable"):
        whole = np.concatenate([getattr(p, name) for p in singly])
        assert getattr(said, name).tolist() == whole.tolist()
    return said


def test_every_row_gets_what_its_own_model_says(models, rows):
    said = check(models, rows[:7])
    gaps = np.abs(said.probs[:, None] - said.probs[None]).max(axis=2)
    assert gaps[~np.eye(7, dtype=bool)].min() > 1e-3, "the models must not say the same"
    assert 0 < said.actionable.sum() < 7


def test_models_shared_by_several_rows_come_back_in_the_order_given(models, rows):
    order = [2, 0, 0, 4, 1, 2, 6, 0, 3, 5, 4, 1]
    check([models[k] for k in order], rows[:12])


def test_one_model_for_all_rows_is_its_batch(models, rows):
    said = many_runtimes.predict_many([models[0]] * len(rows), rows)
    assert said.logits.tobytes() == models[0].predict(rows).logits.tobytes()


def test_one_row_is_enough(models, rows):
    check(models[:1], rows[:1])


@pytest.mark.parametrize(("n_models", "n_rows"), [(2, 3), (3, 2), (0, 0)])
def test_another_number_of_models_than_rows_is_refused(models, rows, n_models, n_rows):
    with pytest.raises(FeatureError, match=rf"{n_models} models for features of shape \({n_rows}"):
        many_runtimes.predict_many(models[:n_models], rows[:n_rows])


def test_another_number_of_columns_is_refused(models, rows):
    with pytest.raises(FeatureError, match="71 feature columns"):
        many_runtimes.predict_many(models[:3], rows[:3, 1:])


def test_models_of_other_columns_are_refused(models, rows):
    names = tuple(reversed(models[1].scaler.names))
    other = replace(models[1], scaler=replace(models[1].scaler, names=names))
    with pytest.raises(FeatureError, match="different feature columns"):
        many_runtimes.predict_many([models[0], other], rows[:2])


def test_weights_that_lack_an_array_are_refused_by_name(models, rows):
    member = models[0].members[0]
    weights = {n: w for n, w in member.net.weights.items() if n != "layers.4.bias"}
    broken = replace(
        models[0], members=(replace(member, net=replace(member.net, weights=weights)),)
    )
    with pytest.raises(BundleError, match=r"no 'layers\.4\.bias'"):
        many_runtimes.predict_many([models[1], broken], rows[:2])
