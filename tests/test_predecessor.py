"""The old recipe: made as it is described, trained reproducibly, and caught by the gates."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from v8lib import comparison, config, labels, postmortem, predecessor, probes, recipe, seeds
from v8lib.errors import SplitError
from v8lib.features import make_features, warmup_bars
from v8lib.splits import MIN_ROWS, overlapping_labels

PARAMS = Path(__file__).resolve().parents[1] / "params"
SHARES = {"train_share": 0.6, "valid_share": 0.1, "calib_share": 0.1}
SHORT = [("market_bars", 6_000), ("epochs", 1), ("bootstrap_reps", 100), ("shuffle_draws", 2)]
DEAR = 1_000.0  # the simulated market begins at 100


@pytest.fixture(scope="module")
def parameters():
    return config.merge_parameters(
        PARAMS, profile="smoke", symbol="BTC", source="simulated", settings=SHORT
    )


@pytest.fixture(scope="module")
def source(parameters):
    made = recipe.open_bars(parameters)
    return replace(made, bars=postmortem.at_price_level(made.bars, DEAR))


@pytest.fixture(scope="module")
def case(source, parameters):
    return recipe.build_case(
        source,
        parameters,
        steps=predecessor.predecessor_steps(parameters),
        train=predecessor.train_predecessor,
    )


@pytest.fixture(scope="module")
def raw_table():
    return predecessor.raw_price_table(60)


@pytest.fixture(scope="module")
def raw_columns(market_bars, raw_table):
    made = make_features(market_bars, raw_table)
    return {feature.name: made[:, j] for j, feature in enumerate(raw_table)}


class TestColumns:
    def test_names_are_unique_and_no_column_needs_the_reference_window(self, raw_table):
        assert len({f.name for f in raw_table}) == len(raw_table) == 25
        assert not any(f.uses_reference for f in raw_table)
        assert warmup_bars(raw_table) == 200

    def test_they_are_the_prices_themselves(self, raw_columns, market_bars):
        known = slice(199, None)
        for name in ("open", "high", "low", "close"):
            np.testing.assert_allclose(
                raw_columns[name][known], market_bars[name][known], rtol=1e-6
            )

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("sma_50", lambda b: b["close"].rolling(50).mean()),
            ("highest_20", lambda b: b["high"].rolling(20).max()),
            ("lowest_100", lambda b: b["low"].rolling(100).min()),
            ("volume_20", lambda b: b["volume"].rolling(20).mean()),
            ("change_16", lambda b: b["close"].diff(16)),
            ("body", lambda b: b["close"] - b["open"]),
            ("high_minus_low", lambda b: b["high"] - b["low"]),
        ],
    )
    def test_they_are_what_they_are_called(self, raw_columns, market_bars, name, expected):
        wanted = expected(market_bars).to_numpy()[199:]
        np.testing.assert_allclose(raw_columns[name][199:], wanted, rtol=1e-5, atol=1e-6)

    def test_they_look_at_no_later_bar(self, market_bars, raw_table):
        cuts = [1_000, 3_000, 5_000]
        assert probes.features_moved(market_bars, raw_table, cuts, seeds.stream(1, "cuts")) == []

    def test_another_price_level_keeps_the_labels_and_moves_the_columns(
        self, market_bars, raw_table, market_labels
    ):
        dear = postmortem.at_price_level(market_bars, DEAR)
        again = labels.make_labels(
            dear,
            scheme="trailing_tercile",
            horizon_bars=4,
            window_bars=2_880,
            threshold_bps=10.0,
            sigmas=0.43,
        )
        assert np.mean(again.labels != market_labels.labels) < 1e-3  # ties may round over
        before, after = (make_features(bars, raw_table)[-1] for bars in (market_bars, dear))
        is_price = np.array([f.family != "volume" for f in raw_table])
        np.testing.assert_allclose(after[is_price], DEAR * before[is_price], rtol=1e-3)
        np.testing.assert_array_equal(after[~is_price], before[~is_price])


class TestSplit:
    def test_every_usable_row_is_given_out_once(self):
        usable = np.ones(3_000, dtype=bool)
        usable[:500] = False
        (fold,) = predecessor.random_split(usable, seed=1, symbol="BTC", **SHARES)
        parts = [fold.train, fold.valid, fold.calib, fold.test]
        assert [len(part) for part in parts] == [1_500, 250, 250, 500]
        assert all((np.diff(part) > 0).all() for part in parts)
        np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(500, 3_000))

    def test_train_is_on_both_sides_of_test(self):
        fold = predecessor.random_split(np.ones(3_000, bool), seed=1, symbol="BTC", **SHARES)[0]
        assert fold.train.max() > fold.test.min()
        assert overlapping_labels(fold, 4) > 0.9 * len(fold.train)

    def test_the_seed_and_the_symbol_choose_it(self):
        usable = np.ones(3_000, dtype=bool)
        pairs = [(1, "BTC"), (1, "BTC"), (2, "BTC"), (1, "ETH")]
        tests = [
            predecessor.random_split(usable, seed=s, symbol=n, **SHARES)[0].test for s, n in pairs
        ]
        np.testing.assert_array_equal(tests[0], tests[1])
        assert not np.array_equal(tests[0], tests[2])
        assert not np.array_equal(tests[0], tests[3])

    def test_too_few_rows_are_refused(self):
        with pytest.raises(SplitError, match=str(MIN_ROWS)):
            predecessor.random_split(np.ones(1_000, bool), seed=1, symbol="BTC", **SHARES)

    def test_in_order_of_time_the_split_is_the_suite_s_own(self, source, parameters):
        steps = predecessor.predecessor_steps(parameters, chronological=True)
        (fold,) = steps.split(np.ones(len(source.bars), bool))
        assert fold.train.max() + parameters.horizon_bars < fold.valid.min()
        assert overlapping_labels(fold, parameters.horizon_bars) == 0


class TestModel:
    def test_the_net_is_256_128_64_3_with_nothing_between(self):
        net = predecessor.PredecessorNet(25)
        kinds = {type(layer) for layer in net.layers}
        assert kinds == {torch.nn.Linear, torch.nn.ReLU}
        assert [bias.shape for _, bias in net.arrays()] == [(256,), (128,), (64,), (3,)]

    def test_inference_is_the_net_s_own(self, case):
        model, rows = case.models[0], case.test.features[:64]
        net = predecessor.PredecessorNet(rows.shape[1])
        linear = [layer for layer in net.layers if isinstance(layer, torch.nn.Linear)]
        with torch.no_grad():
            for layer, (weight, bias) in zip(linear, model.weights, strict=True):
                layer.weight.copy_(torch.from_numpy(weight))
                layer.bias.copy_(torch.from_numpy(bias))
            by_torch = net(torch.from_numpy(rows)).numpy()
        # float32 of logits in the hundreds, summed from inputs of 100,000.
        np.testing.assert_allclose(model.predict(rows).logits, by_torch, rtol=1e-3, atol=0.5)

    def test_nothing_stands_between_the_net_and_the_decision(self, case):
        said = case.models[0].predict(case.test.features)
        np.testing.assert_array_equal(said.decisions, said.probs.argmax(axis=1))
        np.testing.assert_array_equal(said.actionable, said.probs.max(axis=1) >= 0.6)

    def test_training_again_gives_the_same_weights_and_leaves_torch_s_numbers_alone(
        self, case, parameters
    ):
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        again = predecessor.train_predecessor(case.prepared, parameters)
        assert torch.equal(torch.rand(3), expected)
        other = predecessor.train_predecessor(
            case.prepared, parameters.model_copy(update={"seed": parameters.seed + 1})
        )
        same, changed = (models[0].weights[0][0] for models in (again, other))
        np.testing.assert_array_equal(same, case.models[0].weights[0][0])
        assert not np.array_equal(changed, same)

    def test_training_lowers_the_loss_on_its_own_rows(self, case, parameters):
        settings = {"symbol": "BTC", "seed": 1, "batch_size": 256, "min_confidence": 0.6}
        train = case.prepared.split("train")[0]
        losses = []
        for epochs in (0, 2):
            (model,) = predecessor.fit_predecessors(case.prepared, epochs=epochs, **settings)
            logits = torch.from_numpy(model.predict(train.features).logits)
            losses.append(torch.nn.functional.cross_entropy(logits, torch.from_numpy(train.labels)))
        assert losses[1] < 0.5 * losses[0]


class TestVerdict:
    def test_the_gates_catch_it_by_name(self, case, parameters):
        judged = {gate.name: gate for gate in recipe.examine(case, parameters).gates}
        failed = {name for name, gate in judged.items() if gate.verdict == "fail"}
        assert failed >= {
            "feature_normalization",
            "logit_range_healthy",
            "confidence_calibrated",
            "class_balanced",
            "skill",
            "calibration",
            "splits_purged",
            "scaler_from_train",
        }
        assert judged["single_row_parity"].verdict == judged["no_nan_inf"].verdict == "pass"

    def test_facts_are_those_of_the_prediction(self, case):
        facts = postmortem.predecessor_facts(case)
        said = case.prediction
        assert facts["n"] == len(case.test.labels)
        assert facts["price_level"] == case.prepared.bars["close"].median()
        assert facts["max_abs_logit"] == np.abs(said.logits).max()
        assert facts["share_confidence_over_99"] == (said.probs.max(axis=1) > 0.99).mean()
        assert facts["decision_shares"] == [(said.decisions == k).mean() for k in range(3)]
        assert facts["accuracy"] == (said.decisions == case.test.labels).mean()
        assert facts["log_loss_skill"] < -1.0
        assert facts["feature_means"][1] > 50_000.0

    def test_logits_grow_with_the_prices(self, source, parameters):
        same = postmortem.measurement_settings(parameters) | {"epochs": 0}
        logits = [
            postmortem.measure_predecessor(postmortem.at_price_level(source.bars, factor), **same)[
                "max_abs_logit"
            ]
            for factor in (1.0, 10.0)
        ]
        # Biases and volume stay as they are, all other inputs grow tenfold.
        assert logits[1] == pytest.approx(10.0 * logits[0], rel=0.1)

    @pytest.mark.parametrize("chronological", [False, True])
    def test_a_measurement_is_the_case_s_own(self, source, parameters, chronological):
        built = recipe.build_case(
            source,
            parameters,
            steps=predecessor.predecessor_steps(parameters, chronological=chronological),
            train=predecessor.train_predecessor,
        )
        settings = postmortem.measurement_settings(parameters)
        measured = postmortem.measure_predecessor(
            source.bars, **settings, chronological=chronological
        )
        assert measured == postmortem.predecessor_facts(built)


class TestWords:
    @pytest.fixture
    def words(self, case):
        return postmortem.facts_in_words(postmortem.predecessor_facts(case))

    def test_they_fill_every_row_of_the_table(self, words):
        assert set(words) == set(comparison.V6)

    def test_the_table_has_the_column_only_where_it_was_measured(self, words):
        rows = [comparison.Row(name, "target", "value", True) for name in comparison.V6]
        quoted, both = comparison.comparison_html(rows), comparison.comparison_html(rows, words)
        assert "V6 measured here" not in quoted.data
        assert "V6 broken (quoted)" in both.data
        assert "V6 measured here" in both.data
        assert words["logit range"] in both.data

    def test_a_table_of_measurements_names_those_of_one_class(self):
        facts = {
            "decision_shares": [0.98, 0.0, 0.02],
            "share_confidence_over_99": 1.0,
            "mean_confidence": 1.0,
            "accuracy": 0.33,
            "max_abs_logit": 500.0,
            "log_loss_skill": -20.0,
        }
        spread = facts | {"decision_shares": [0.4, 0.3, 0.3]}
        table = postmortem.facts_table({("a", 1): facts, ("a", 2): spread})
        assert table["one class"].tolist() == [True, False]
        assert table.loc[("a", 1), "DOWN"] == 0.98
