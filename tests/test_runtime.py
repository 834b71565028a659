from dataclasses import replace

import numpy as np
import pytest

from v8lib import calibration, decision, inversion, numpy_net, probes, runtime
from v8lib.errors import BundleError, FeatureError

NORMALIZATIONS = ("adaptive", "batch", "layer")
THREE = (3, 4, 5)


@pytest.fixture(scope="module")
def rows(market_features, split):
    return market_features[split.test][:150]


def alone(made, k):
    """Return the model of one member."""
    return replace(made, members=(made.members[k],))


@pytest.mark.parametrize("seeds", [(3,), THREE], ids=["one net", "three nets"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_single_row_gives_what_it_gives_in_a_batch(make_runtime, rows, normalization, seeds):
    made = make_runtime(normalization, seeds=seeds)
    batch = made.predict(rows)
    singly = [made.predict(row) for row in rows]
    np.testing.assert_allclose(
        np.concatenate([p.probs for p in singly]), batch.probs, rtol=0.0, atol=1e-12
    )
    assert np.concatenate([p.decisions for p in singly]).tolist() == batch.decisions.tolist()
    np.testing.assert_array_equal(
        probes.one_by_one(made, rows), np.concatenate([p.probs for p in singly])
    )


@pytest.mark.parametrize("seeds", [(3,), THREE], ids=["one net", "three nets"])
def test_a_prediction_is_consistent_in_itself(make_runtime, rows, seeds):
    made = make_runtime(seeds=seeds)
    got = made.predict(rows)
    np.testing.assert_allclose(got.probs.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(inversion.softmax(got.logits), got.probs, atol=1e-15)
    np.testing.assert_allclose(got.logits.mean(axis=1), 0.0, atol=1e-12)
    assert got.decisions.tolist() == decision.decide(got.probs, made.offsets).tolist()
    assert got.actionable.tolist() == (got.probs.max(axis=1) >= 0.6).tolist()


def test_several_nets_say_the_mean_of_their_probabilities(make_runtime, rows):
    made = make_runtime(seeds=THREE)
    single = [alone(made, k).predict(rows).probs for k in range(3)]
    np.testing.assert_allclose(made.predict(rows).probs, np.mean(single, axis=0), atol=1e-12)
    assert np.abs(single[0] - single[1]).max() > 0.01, "the nets are not copies"


def test_the_same_net_three_times_is_that_net(make_runtime, rows):
    made = make_runtime()
    tripled = replace(made, members=made.members * 3)
    np.testing.assert_allclose(tripled.predict(rows).probs, made.predict(rows).probs, atol=1e-14)


def test_logits_far_apart_are_averaged_without_overflow():
    """Probabilities of 1 and 0 on one side, 1/2 each on the other."""
    sure, unsure = np.array([[800.0, -400.0, -400.0]]), np.array([[1.0, 1.0, -2000.0]])
    averaged = runtime.averaged_logits([sure, unsure])
    assert np.isfinite(averaged).all()
    assert inversion.softmax(averaged)[0] == pytest.approx([0.75, 0.25, 0.0], abs=1e-12)


def test_a_model_without_skill_says_the_prior(make_runtime, rows):
    for seeds in ((3,), THREE):
        got = make_runtime(inverse_temperature=0.0, seeds=seeds).predict(rows)
        np.testing.assert_allclose(got.probs, np.tile([0.3, 0.4, 0.3], (len(rows), 1)), atol=1e-12)


def test_another_number_of_columns_is_refused(make_runtime, rows):
    with pytest.raises(FeatureError, match="71 feature columns"):
        make_runtime().predict(rows[:, 1:])


def test_weights_that_lack_an_array_are_refused_by_name(make_runtime, rows):
    made = make_runtime(seeds=THREE)
    last = made.members[-1]
    weights = {n: w for n, w in last.net.weights.items() if n != "layers.4.bias"}
    broken = replace(last, net=numpy_net.NumpyNet(weights, "adaptive"))
    with pytest.raises(BundleError, match=r"no 'layers\.4\.bias'"):
        replace(made, members=(*made.members[:-1], broken)).predict(rows)


@pytest.mark.parametrize("seeds", [(3,), THREE], ids=["one net", "three nets"])
def test_a_runtime_comes_back_from_its_facts_with_the_same_bits(make_runtime, rows, seeds):
    made = make_runtime("batch", seeds=seeds)
    back = runtime.runtime_from(runtime.model_weights(made), runtime.model_facts(made))
    assert len(back.members) == len(seeds)
    assert back.predict(rows).logits.tobytes() == made.predict(rows).logits.tobytes()
    assert back.predict(rows).decisions.tolist() == made.predict(rows).decisions.tolist()


def test_eleven_members_come_back_in_their_order(make_runtime, rows):
    """As text, 10 stands before 2."""
    made = make_runtime(seeds=range(11))
    weights = dict(sorted(runtime.model_weights(made).items()))
    back = runtime.runtime_from(weights, runtime.model_facts(made))
    for first, second in zip(made.raw_logits(rows[:5]), back.raw_logits(rows[:5]), strict=True):
        assert first.tobytes() == second.tobytes()
    calibrations = [
        [calibration.calibration_numbers(member.calibration) for member in of.members]
        for of in (made, back)
    ]
    assert calibrations[0] == calibrations[1]


def test_a_member_whose_weights_are_gone_is_refused(make_runtime, rows):
    made = make_runtime(seeds=THREE)
    weights = {n: w for n, w in runtime.model_weights(made).items() if not n.startswith("2.")}
    with pytest.raises(BundleError, match=r"no 'layers\.0\.weight'"):
        runtime.runtime_from(weights, runtime.model_facts(made)).predict(rows)


def test_predictions_of_stretches_are_joined_in_the_order_given(make_runtime, rows):
    made = make_runtime()
    whole = made.predict(rows)
    joined = runtime.joined([made.predict(rows[:40]), made.predict(rows[40:])])
    for name, array in vars(whole).items():
        np.testing.assert_allclose(getattr(joined, name), array, rtol=0.0, atol=1e-12)
    swapped = runtime.joined([made.predict(rows[40:]), made.predict(rows[:40])])
    np.testing.assert_allclose(swapped.probs[-40:], whole.probs[:40], rtol=0.0, atol=1e-12)
