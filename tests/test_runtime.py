import numpy as np
import pytest

from v8lib import decision, inversion, model, probes, runtime, scaling
from v8lib.errors import BundleError, FeatureError

NORMALIZATIONS = ("adaptive", "batch", "layer")


@pytest.fixture(scope="module")
def rows(market_features, split):
    return market_features[split.test][:150]


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_numpy_and_torch_give_the_same_scores(
    make_runtime, random_net, scaler, rows, normalization
):
    scaled = scaling.apply_scaler(scaler, rows)
    expected = model.predict_logits(random_net(scaled.shape[1], normalization), scaled)
    got = make_runtime(normalization).raw_logits(scaled)
    assert np.ptp(expected, axis=0).min() > 0.01, "scores must differ by far more than that"
    # float32 against float64 through four layers.
    np.testing.assert_allclose(got, expected, rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_single_row_gives_what_it_gives_in_a_batch(make_runtime, rows, normalization):
    made = make_runtime(normalization)
    batch = made.predict(rows)
    alone = [made.predict(row) for row in rows]
    np.testing.assert_allclose(
        np.concatenate([p.probs for p in alone]), batch.probs, rtol=0.0, atol=1e-12
    )
    assert np.concatenate([p.decisions for p in alone]).tolist() == batch.decisions.tolist()
    np.testing.assert_array_equal(
        probes.one_by_one(made, rows), np.concatenate([p.probs for p in alone])
    )


def test_a_prediction_is_consistent_in_itself(make_runtime, rows):
    made = make_runtime()
    got = made.predict(rows)
    np.testing.assert_allclose(got.probs.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(inversion.softmax(got.logits), got.probs, atol=1e-15)
    assert got.decisions.tolist() == decision.decide(got.probs, made.offsets).tolist()
    assert got.actionable.tolist() == (got.probs.max(axis=1) >= 0.6).tolist()


def test_a_model_without_skill_says_the_prior(make_runtime, rows):
    got = make_runtime(inverse_temperature=0.0).predict(rows)
    np.testing.assert_allclose(got.probs, np.tile([0.3, 0.4, 0.3], (len(rows), 1)), atol=1e-12)


def test_another_number_of_columns_is_refused(make_runtime, rows):
    with pytest.raises(FeatureError, match="71 feature columns"):
        make_runtime().predict(rows[:, 1:])


def test_weights_that_lack_an_array_are_refused_by_name(make_runtime, rows):
    made = make_runtime()
    weights = {n: w for n, w in made.weights.items() if n != "layers.4.bias"}
    broken = runtime.Runtime(
        weights, "adaptive", made.scaler, made.calibration, made.offsets, made.min_confidence
    )
    with pytest.raises(BundleError, match=r"no 'layers\.4\.bias'"):
        broken.predict(rows)


def test_a_runtime_comes_back_from_its_facts_with_the_same_bits(make_runtime, rows):
    made = make_runtime("batch")
    back = runtime.runtime_from(made.weights, runtime.model_facts(made))
    assert back.predict(rows).logits.tobytes() == made.predict(rows).logits.tobytes()
    assert back.predict(rows).decisions.tolist() == made.predict(rows).decisions.tolist()
