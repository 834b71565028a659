import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from v8lib import bar_interval, config
from v8lib.config import Parameters
from v8lib.errors import ParameterError

FIELDS = Parameters.model_fields
FROM_THE_COMMAND_LINE = {"symbol", "source"}
FLOATS = sorted(name for name, field in FIELDS.items() if field.annotation is float)
INTEGERS = sorted(name for name, field in FIELDS.items() if field.annotation is int)


@pytest.fixture(scope="module")
def folder(repo):
    return repo / "params"


@pytest.fixture(scope="module")
def defaults(folder):
    return merge(folder).model_dump()


def merge(folder, *, profile="default", symbol="BTC", settings=()):
    return config.merge_parameters(
        folder, profile=profile, symbol=symbol, source="simulated", settings=settings
    )


def test_every_number_field_is_known_to_these_tests():
    assert len(FLOATS) + len(INTEGERS) > 20
    assert {"learning_rate", "dropout"} <= set(FLOATS)
    assert {"seed", "epochs"} <= set(INTEGERS)


def test_every_key_of_the_default_file_is_a_field_and_every_field_has_a_default(folder):
    assert set(config.read_yaml(folder / "default.yaml")) == set(FIELDS) - FROM_THE_COMMAND_LINE


@pytest.mark.parametrize("profile", ["smoke", "full"])
def test_a_profile_changes_known_keys_only_and_really_changes_them(folder, profile):
    changed = config.read_yaml(folder / f"{profile}.yaml")
    default = config.read_yaml(folder / "default.yaml")
    assert changed
    assert set(changed) <= set(default)
    assert all(default[key] != value for key, value in changed.items())
    merged = merge(folder, profile=profile).model_dump()
    assert {key: merged[key] for key in changed} == changed


def test_every_symbol_file_merges(folder):
    symbols = sorted(path.stem for path in (folder / "symbols").glob("*.yaml"))
    assert {"BTC", "ETH", "SOL"} <= set(symbols)
    for symbol in symbols:
        assert merge(folder, symbol=symbol).symbol == symbol


def test_later_origins_win_over_earlier_ones(tmp_path, folder):
    (tmp_path / "symbols").mkdir()
    content = (folder / "default.yaml").read_text(encoding="utf-8")
    (tmp_path / "default.yaml").write_text(content, encoding="utf-8")
    (tmp_path / "short.yaml").write_text("epochs: 2\nbatch_size: 32\ndropout: 0.1\n")
    (tmp_path / "symbols" / "XRP.yaml").write_text("batch_size: 64\ndropout: 0.2\n")
    merged = merge(tmp_path, profile="short", symbol="XRP", settings=[("dropout", 0.25)])
    assert (merged.epochs, merged.batch_size, merged.dropout) == (2, 64, 0.25)
    assert (
        merge(tmp_path, symbol="XRP").epochs == config.read_yaml(folder / "default.yaml")["epochs"]
    )
    assert merged.market_name == "XRP-USD", "the placeholder of the default file is filled in"


@pytest.mark.parametrize("key", FIELDS)
def test_a_misspelt_key_is_refused_with_the_nearest_name(key):
    typo = key[:-2] + key[-1]
    with pytest.raises(ParameterError, match=rf"run: unknown parameter '{typo}'; .*'{key}'"):
        config.check_keys({typo: 1}, "run")


@pytest.mark.parametrize("key", ["zzzzzz", "quux_9000"])
def test_a_key_like_no_other_is_refused_without_a_guess(key):
    with pytest.raises(ParameterError, match=rf"unknown parameter '{key}'$"):
        config.check_keys({key: 1}, "run")


@given(key=st.text(min_size=1, max_size=20).filter(lambda key: key not in FIELDS))
def test_any_other_key_is_refused(key):
    with pytest.raises(ParameterError, match="unknown parameter"):
        config.check_keys({"epochs": 1, key: 1}, "run")


@pytest.mark.parametrize("origin", ["default.yaml", "short.yaml", "symbols/XRP.yaml"])
def test_an_unknown_key_is_refused_by_the_file_it_stands_in(tmp_path, folder, origin):
    (tmp_path / "symbols").mkdir()
    content = (folder / "default.yaml").read_text(encoding="utf-8")
    (tmp_path / "default.yaml").write_text(content)
    (tmp_path / "short.yaml").write_text("epochs: 2\n")
    (tmp_path / "symbols" / "XRP.yaml").write_text("market_name: XRP-USD\n")
    path = tmp_path / origin
    path.write_text(path.read_text() + "\nepoch: 3\n")
    with pytest.raises(
        ParameterError, match=rf"{path.name}: unknown parameter 'epoch'; .*'epochs'"
    ):
        merge(tmp_path, profile="short", symbol="XRP")


def test_an_unknown_setting_is_refused(folder):
    with pytest.raises(
        ParameterError, match=r"--set: unknown parameter 'horizon'; .*'horizon_bars'"
    ):
        merge(folder, settings=[("horizon", 4)])


@pytest.mark.parametrize("key", FLOATS)
def test_an_exponent_without_a_dot_is_refused_with_a_hint(defaults, key):
    text = yaml.safe_load("value: 1e-3")["value"]
    assert isinstance(text, str), "YAML's reading of 1e-3 is why the hint exists"
    with pytest.raises(ParameterError, match=rf"^{key} = '1e-3': .*write 0\.001$"):
        config.check_parameters(defaults | {key: text})


@pytest.mark.parametrize("value", ["3", 3.5, True, None])
@pytest.mark.parametrize("key", INTEGERS)
def test_a_count_must_be_a_whole_number(defaults, key, value):
    with pytest.raises(ParameterError, match=rf"^{key} = "):
        config.check_parameters(defaults | {key: value})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("key", FLOATS)
def test_a_number_must_be_finite(defaults, key, value):
    """Parameters are written to strict JSON, which has no word for these."""
    with pytest.raises(ParameterError, match=rf"^{key} = "):
        config.check_parameters(defaults | {key: value})


@pytest.mark.parametrize("key", FIELDS)
def test_a_missing_key_is_refused_by_name(defaults, key):
    values = {name: value for name, value in defaults.items() if name != key}
    with pytest.raises(ParameterError, match=rf"^parameter '{key}' is missing$"):
        config.check_parameters(values)


@pytest.mark.parametrize(
    ("key", "allowed", "refused"),
    [
        ("seed", [0, 2**31 - 1], [-1, 2**31]),
        ("market_bars", [5_000], [4_999]),
        ("market_interval_s", [1, 86_400], [0, 86_401]),
        ("market_signal", [0, 0.0, 0.99], [-0.01, 0.995]),
        ("market_decay", [0.01, 0.99], [0.0, 1.0]),
        ("market_model", ["momentum", "garch"], ["Garch", "random_walk", ""]),
        ("label_window_bars", [100], [99]),
        ("horizon_bars", [1], [0]),
        ("dropout", [0.0, 0.9], [1.0, -0.1]),
        ("n_folds", [1, 50], [0, 51]),
        ("n_seeds", [1, 50], [0, 51]),
        ("aux_volatility_weight", [0.0, 10.0], [-0.1, 10.1]),
        ("aux_return_weight", [0.0, 10.0], [-0.1, 10.1]),
        ("mirror_share", [0.0, 0.5], [-0.1, 0.6]),
        ("conformal_error", [0.01, 0.49], [0.0, 0.5]),
        ("boosting_trees", [1, 150], [0, 1.5, True]),
        ("boosting_rate", [0.01, 1.0], [0.0, 1.1]),
        ("with_lightgbm", [True, False], ["true", 1, 0]),
        ("shuffle_draws", [2], [1]),
        ("shift_draws", [2], [1]),
        ("focal_gamma", [0.0, 5.0], [-0.1, 5.1]),
        ("focal_alpha", [1.0], [0.0, 1.1]),
        ("label_smoothing", [0.0, 0.49], [0.5]),
        ("learning_rate", [0.5], [0.0, 1.0]),
        ("min_confidence", [0.34, 0.99], [1 / 3, 1.0]),
        ("batch_size", [8], [7]),
        ("n_bins", [5, 100], [4, 101]),
        ("bootstrap_reps", [100], [99]),
        ("threads", [1], [0]),
        ("normalization", ["adaptive", "batch", "layer"], ["none", True]),
        ("precision", ["fp32", "bf16", "auto"], ["fp16", "", 32]),
        ("device", ["auto", "cpu", "cuda", "mps"], ["gpu", "cuda:1", "", None]),
        ("label_scheme", ["fixed", "vol_scaled"], ["tercile"]),
        ("decision_rule", ["argmax"], ["largest"]),
        ("source", ["files"], ["live"]),
        ("symbol", ["BTC", "1INCH"], ["btc", "", "BTC-USD", "../BTC"]),
        ("market_name", ["BTC-USD", "tBTC.x"], ["", "BTC/USD", "a b"]),
        ("bar_interval", ["", *bar_interval.SECONDS], ["7m", "15M", "1w"]),
    ],
)
def test_values_at_the_edge_of_a_range(defaults, key, allowed, refused):
    for value in allowed:
        assert getattr(config.check_parameters(defaults | {key: value}), key) == value
    for value in refused:
        with pytest.raises(ParameterError, match=rf"^{key} = "):
            config.check_parameters(defaults | {key: value})


def test_shares_that_leave_no_test_split_are_refused(defaults):
    with pytest.raises(ParameterError, match=r"train_share \+ valid_share \+ calib_share is 0\.98"):
        config.check_parameters(defaults | {"train_share": 0.78})


def test_a_horizon_beyond_the_garch_market_s_known_answer_is_refused_before_anything_runs(defaults):
    garch = defaults | {"market_model": "garch"}
    with pytest.raises(ParameterError, match=r"^horizon_bars = 7: .* known up to 6$"):
        config.check_parameters(garch | {"horizon_bars": 7})
    assert config.check_parameters(garch | {"horizon_bars": 6}).horizon_bars == 6
    for change in ({"market_model": "momentum"}, {"source": "files"}):
        assert config.check_parameters(garch | {"horizon_bars": 7} | change).horizon_bars == 7


def test_an_unknown_symbol_is_refused_with_those_there_are(folder):
    with pytest.raises(ParameterError, match=r"unknown symbol 'DOGE'.*BTC, ETH, SOL"):
        merge(folder, symbol="DOGE")


def test_an_unknown_profile_is_refused(folder):
    with pytest.raises(ParameterError, match=r"quick\.yaml: no such parameter file"):
        merge(folder, profile="quick")


@pytest.mark.parametrize("content", ["- a\n- b\n", "just text\n", "a: [1, 2]\n", "a: {b: 1}\n"])
def test_a_file_that_is_no_flat_mapping_is_refused(tmp_path, content):
    (tmp_path / "x.yaml").write_text(content)
    with pytest.raises(ParameterError, match=r"x\.yaml: expected one flat mapping"):
        config.read_yaml(tmp_path / "x.yaml")


def test_a_file_that_is_no_yaml_is_refused_on_one_line(tmp_path):
    (tmp_path / "x.yaml").write_text("a: [1,\nb: }\n")
    with pytest.raises(ParameterError, match=r"x\.yaml: not YAML: ") as caught:
        config.read_yaml(tmp_path / "x.yaml")
    assert "\n" not in str(caught.value)


def test_an_empty_file_changes_nothing(tmp_path):
    (tmp_path / "x.yaml").write_text("# nothing yet\n")
    assert config.read_yaml(tmp_path / "x.yaml") == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epochs=3", ("epochs", 3)),
        ("learning_rate=0.01", ("learning_rate", 0.01)),
        ("exclude_families=volume season", ("exclude_families", "volume season")),
        ("exclude_families=", ("exclude_families", "")),
        ("market_name={symbol}-EUR", ("market_name", "{symbol}-EUR")),
        ("learning_rate=1e-3", ("learning_rate", "1e-3")),
        ("market_name=a=b", ("market_name", "a=b")),
    ],
)
def test_settings_are_read_as_yaml_would(text, expected):
    assert config.parse_setting(text) == expected


@pytest.mark.parametrize("text", ["epochs", "=3", " =3"])
def test_a_setting_that_is_none_is_refused(text):
    with pytest.raises(ParameterError, match="expected key=value"):
        config.parse_setting(text)


def test_parameters_cannot_be_changed_afterwards(folder):
    with pytest.raises(ValueError, match="frozen"):
        merge(folder).epochs = 5


def test_excluded_families_are_words(folder):
    assert merge(folder).excluded == ()
    merged = merge(folder, settings=[("exclude_families", "volume  season")])
    assert merged.excluded == ("volume", "season")
