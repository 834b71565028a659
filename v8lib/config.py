"""Parameters: every key, its type and range, and how a profile becomes one flat mapping."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from v8lib.errors import ParameterError

LabelScheme = Literal["trailing_tercile", "fixed", "vol_scaled", "triple_barrier"]
Normalization = Literal["adaptive", "batch", "layer"]
DecisionRule = Literal["balanced", "argmax"]
BarInterval = Literal[
    "", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"
]  # the words of `bar_interval`, or the interval of the file
Precision = Literal["fp32", "bf16", "auto"]
Device = Literal["auto", "cpu", "cuda", "mps"]
MarketModel = Literal["momentum", "garch"]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=1)]


class Parameters(BaseModel):
    """Everything a run can be told; params/default.yaml says what each key means."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    symbol: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,12}$")]
    market_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,40}$")]
    source: Literal["simulated", "files"]
    seed: Annotated[int, Field(ge=0, lt=2**31)]

    bar_interval: BarInterval
    market_model: MarketModel
    market_bars: Annotated[int, Field(ge=5_000)]
    market_interval_s: Annotated[int, Field(ge=1, le=86_400)]
    market_signal: Annotated[float, Field(ge=0.0, le=0.99)]
    market_decay: Annotated[float, Field(gt=0.0, lt=1.0)]
    market_volatility: Annotated[float, Field(gt=0.0, lt=0.1)]

    exclude_families: str
    clip_sigma: Annotated[float, Field(gt=0.0)]

    label_scheme: LabelScheme
    horizon_bars: Count
    label_window_bars: Annotated[int, Field(ge=100)]
    label_threshold_bps: Annotated[float, Field(gt=0.0)]
    label_sigmas: Annotated[float, Field(gt=0.0)]

    train_share: Share
    valid_share: Share
    calib_share: Share
    n_folds: Annotated[int, Field(ge=1, le=50)]

    normalization: Normalization
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)]
    focal_gamma: Annotated[float, Field(ge=0.0, le=5.0)]
    focal_alpha: Annotated[float, Field(gt=0.0, le=1.0)]
    label_smoothing: Annotated[float, Field(ge=0.0, lt=0.5)]
    aux_volatility_weight: Annotated[float, Field(ge=0.0, le=10.0)]
    aux_return_weight: Annotated[float, Field(ge=0.0, le=10.0)]
    mirror_share: Annotated[float, Field(ge=0.0, le=0.5)]
    epochs: Count
    patience_epochs: Count
    batch_size: Annotated[int, Field(ge=8)]
    learning_rate: Annotated[float, Field(gt=0.0, lt=1.0)]
    weight_decay: Annotated[float, Field(ge=0.0)]
    gradient_clip: Annotated[float, Field(gt=0.0)]
    n_seeds: Annotated[int, Field(ge=1, le=50)]
    precision: Precision
    device: Device

    decision_rule: DecisionRule
    min_confidence: Annotated[float, Field(gt=1 / 3, lt=1.0)]
    conformal_error: Annotated[float, Field(gt=0.0, lt=0.5)]
    boosting_trees: Count
    boosting_rate: Annotated[float, Field(gt=0.0, le=1.0)]
    with_lightgbm: bool
    n_bins: Annotated[int, Field(ge=5, le=100)]
    bootstrap_reps: Annotated[int, Field(ge=100)]
    shuffle_draws: Annotated[int, Field(ge=2)]
    shuffle_epochs: Count
    shift_draws: Annotated[int, Field(ge=2)]
    threads: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _shares_leave_a_test_split(self) -> "Parameters":
        used = self.train_share + self.valid_share + self.calib_share
        if used > 0.95:
            raise ValueError(
                f"train_share + valid_share + calib_share is {used:.2f}: "
                "at most 0.95, so that a test split is left"
            )
        return self

    @model_validator(mode="after")
    def _the_market_has_a_known_answer(self) -> "Parameters":
        if self.source == "simulated" and self.market_model == "garch" and self.horizon_bars > 6:
            raise ValueError(
                f"horizon_bars = {self.horizon_bars}: the garch market's answer is known up to 6"
            )
        return self

    @property
    def excluded(self) -> tuple[str, ...]:
        """Families named in `exclude_families`."""
        return tuple(self.exclude_families.split())


def read_yaml(path: Path | str) -> dict[str, Any]:
    """Return a flat YAML mapping.

    Raises
    ------
    ParameterError
        If the file is missing or is not a mapping of names to scalars.
    """
    import yaml

    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParameterError(f"{path}: no such parameter file") from None
    except yaml.YAMLError as error:
        raise ParameterError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    content = {} if content is None else content
    if not isinstance(content, dict) or any(isinstance(v, dict | list) for v in content.values()):
        raise ParameterError(f"{path}: expected one flat mapping of names to values")
    return content


def parse_setting(text: str) -> tuple[str, Any]:
    """Return (key, value) of a ``key=value`` setting; the value is read as YAML would."""
    import yaml

    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ParameterError(f"--set {text}: expected key=value")
    try:
        # A brace opens a YAML mapping, and here it can only be the {symbol} placeholder.
        parsed = value if "{" in value else yaml.safe_load(value)
    except yaml.YAMLError:
        parsed = value
    return key.strip(), "" if parsed is None else parsed


def check_keys(content: Mapping[str, Any], origin: str) -> None:
    """Refuse a key the suite does not know, naming the nearest one it does.

    Raises
    ------
    ParameterError
        For the first unknown key.
    """
    known = list(Parameters.model_fields)
    for key in content:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise ParameterError(f"{origin}: unknown parameter '{key}'{hint}")


def merge_parameters(
    folder: Path | str,
    *,
    profile: str,
    symbol: str,
    source: str,
    settings: Sequence[tuple[str, Any]] = (),
) -> Parameters:
    """Return the parameters of one symbol: default < profile < symbol < settings.

    Parameters
    ----------
    folder : path
        The params folder.
    profile : str
        "default", or the name of a file beside default.yaml.
    symbol : str
        Must have a file in params/symbols.
    source : {"simulated", "files"}
        Where the bars come from, already decided.
    settings : sequence of (key, value)
        From ``--set``.

    Raises
    ------
    ParameterError
        If a key is unknown or missing, or a value has the wrong type or range.
    """
    folder = Path(folder)
    symbol_file = folder / "symbols" / f"{symbol}.yaml"
    if not symbol_file.is_file():
        known = sorted(path.stem for path in symbol_file.parent.glob("*.yaml"))
        raise ParameterError(
            f"unknown symbol '{symbol}': no {symbol_file.name} in params/symbols "
            f"(there are {', '.join(known)}); add one with its market_name"
        )
    for key in ("symbol", "source"):
        if key in dict(settings):
            raise ParameterError(
                f"--set {key}: that is what --{key}{'s' * (key == 'symbol')} is for"
            )
    files = [folder / "default.yaml", symbol_file]
    if profile != "default":
        files.insert(1, folder / f"{profile}.yaml")
    merged: dict[str, Any] = {}
    for path in files:
        content = read_yaml(path)
        check_keys(content, str(path))
        merged |= content
    chosen = dict(settings)
    check_keys(chosen, "--set")
    merged |= chosen | {"symbol": symbol, "source": source}
    merged["market_name"] = str(merged.get("market_name", "")).replace("{symbol}", symbol)
    return check_parameters(merged)


def check_parameters(values: Mapping[str, Any]) -> Parameters:
    """Return validated parameters.

    Raises
    ------
    ParameterError
        One line that names the first offending key, its value and what is allowed.
    """
    try:
        return Parameters(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise ParameterError(f"parameter '{key}' is missing") from None
        if not key:
            raise ParameterError(str(first["ctx"]["error"])) from None
        hint = _exponent_hint(first["input"])
        message = first["msg"][0].lower() + first["msg"][1:]
        raise ParameterError(f"{key} = {first['input']!r}: {message}{hint}") from None


def _exponent_hint(value: Any) -> str:
    """Explain YAML's oldest surprise: 1e-3 without a dot is text."""
    try:
        number = float(value) if isinstance(value, str) else None
    except ValueError:
        return ""
    return "" if number is None else f"; YAML reads {value} as text: write {number:.12g}"
