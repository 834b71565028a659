"""Quality gates: each has a name, a value, an interval where it is an estimate, and a limit.

The first five are the brief's. An untrained net passes them in one draw out of six, so others
ask for what they do not: skill, calibration, parity, causality, and no skill where there must
be none. The test split is judged here, or train where a gate says so; `pipeline_gates` asks
how the model came about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from v8lib.intervals import CalibrationExcess, Interval
from v8lib.labels import CLASS_NAMES
from v8lib.metrics import class_shares
from v8lib.scaling import column_moments

Array = NDArray[np.float64]
Verdict = Literal["pass", "fail", "inconclusive"]

BRIEF = (
    "feature_normalization",
    "logit_range_healthy",
    "confidence_calibrated",
    "class_balanced",
    "no_nan_inf",
)
MAY_BE_INCONCLUSIVE = ("skill", "calibration")
MAX_MEAN, MAX_STD_ERROR = 0.1, 0.1
MAX_LOGIT = 15.0
SURE, MAX_SURE_SHARE = 0.99, 0.10
MIN_CLASS_SHARE, MAX_CLASS_SHARE = 0.15, 0.60
MAX_CALIBRATION_EXCESS = 0.02
MAX_PARITY_GAP = 1e-5
MAX_AGREEMENT = 0.05


@dataclass(frozen=True)
class Gate:
    """One judgement. `value` is None where it could not be computed; `note` then says why."""

    name: str
    value: float | None
    ci: list[float] | None
    limit: str
    verdict: Verdict
    note: str = ""


def plain(name: str, value: float, passed: bool, limit: str, note: str = "") -> Gate:
    """Return a gate without interval; a value that is not a number never passes."""
    if not np.isfinite(value):
        return Gate(name, None, None, limit, "fail", note or "not a finite number")
    return Gate(name, float(value), None, limit, "pass" if passed else "fail", note)


def estimate(name: str, interval: Interval, limit: str, verdict: Verdict, note: str = "") -> Gate:
    """Return a gate with interval; one that is not made of numbers never passes."""
    if not np.isfinite([interval.value, interval.low, interval.high]).all():
        return Gate(name, None, None, limit, "fail", "not a finite number")
    return Gate(name, interval.value, interval.ci, limit, verdict, note)


def not_judged(name: str, why: str) -> Gate:
    """Return a gate that could not be judged: it never passes."""
    return Gate(name, None, None, "could be judged", "fail", why)


def feature_normalization(
    train_scaled: Sequence[NDArray[np.float32]],
    test_scaled: NDArray[np.float32],
    names: Sequence[str],
) -> Gate:
    """Judge scaling: every feature on train, and all features pooled on test.

    A market changes, so single features may drift on test, and the report shows each. On
    train every column must have mean 0 and deviation 1, or the scaler is not this data's.
    The value is the largest departure. `train_scaled` has one entry per fold, `test_scaled`
    the rows of all folds.
    """
    on_train = np.max([_departure(part) for part in train_scaled], axis=0)  # (n_features,)
    mean, std = column_moments(test_scaled)
    pooled_mean = float(mean.mean())
    pooled_std = float(np.sqrt((std**2 + mean**2).mean() - pooled_mean**2))
    pooled = max(abs(pooled_mean), abs(pooled_std - 1.0))
    # Not max(): a NaN must win, and max() keeps whichever comes first.
    value = float(np.max([pooled, on_train.max()]))
    worst = names[int(np.argmax(np.nan_to_num(on_train, nan=np.inf)))]
    furthest = "all features pooled on test" if pooled >= on_train.max() else f"{worst} on train"
    return plain(
        "feature_normalization",
        value,
        value < MAX_MEAN,
        f"|mean| < {MAX_MEAN} and |std - 1| < {MAX_STD_ERROR}",
        f"furthest: {furthest}",
    )


def _departure(scaled: NDArray[np.float32]) -> Array:
    """Return how far each column is from mean 0 and deviation 1, shape (n_features,)."""
    mean, std = column_moments(scaled)
    return np.maximum(np.abs(mean), np.abs(std - 1.0))


def logit_range_healthy(logits: Array) -> Gate:
    """Judge the final logits: none as large as 15 (target 10)."""
    value = float(np.abs(logits).max())
    return plain("logit_range_healthy", value, value < MAX_LOGIT, f"all |logit| < {MAX_LOGIT:g}")


def confidence_calibrated(probs: Array) -> Gate:
    """Judge over-confidence: fewer than a tenth of the rows above 0.99."""
    value = float((probs.max(axis=1) > SURE).mean()) if np.isfinite(probs).all() else np.nan
    return plain(
        "confidence_calibrated", value, value < MAX_SURE_SHARE, f"share > {SURE} below 10 %"
    )


def class_balanced(decisions: NDArray[np.integer]) -> Gate:
    """Judge the emitted classes: each on 15-60 % of rows (target 30-35 %).

    The value is the share furthest from a third.
    """
    shares = np.array(class_shares(decisions))
    furthest = int(np.abs(shares - 1.0 / 3.0).argmax())
    return plain(
        "class_balanced",
        shares[furthest],
        bool(((shares >= MIN_CLASS_SHARE) & (shares <= MAX_CLASS_SHARE)).all()),
        "every class 15-60 %",
        f"furthest from a third: {CLASS_NAMES[furthest]}",
    )


def no_nan_inf(missing: Mapping[str, int], **arrays: NDArray[np.floating]) -> Gate:
    """Judge that nothing on the way is NaN or infinite; the value counts the entries.

    Parameters
    ----------
    missing : mapping of feature name to count
        Values that features lack after the warm-up, whose rows no split has.
    **arrays
        What the model was given and said on test.
    """
    counts = {name: int((~np.isfinite(array)).sum()) for name, array in arrays.items()}
    counts |= missing
    note = ", ".join(f"{name}: {count}" for name, count in counts.items() if count)
    total = sum(counts.values())
    return plain("no_nan_inf", total, total == 0, "none anywhere", note)


def skill(interval: Interval) -> Gate:
    """Judge log-loss skill against climatology: the whole interval above 0 passes."""
    verdict: Verdict = "inconclusive"
    if interval.low > 0.0:
        verdict = "pass"
    elif interval.high < 0.0:
        verdict = "fail"
    return estimate("skill", interval, "95 % interval above 0", verdict)


def calibration(excess: CalibrationExcess) -> Gate:
    """Judge the ECE beyond what a perfect model shows: the whole interval below 0.02 passes."""
    interval, verdict = excess.excess, "inconclusive"
    if interval.high < MAX_CALIBRATION_EXCESS:
        verdict = "pass"
    elif interval.low > MAX_CALIBRATION_EXCESS:
        verdict = "fail"
    limit = f"95 % interval below {MAX_CALIBRATION_EXCESS}"
    note = f"ECE {excess.ece:.3f}, a perfect model shows {excess.null:.3f}"
    return estimate("calibration", interval, limit, verdict, note)


def single_row_parity(batch: Array, one_by_one: Array, torch_batch: Array) -> Gate:
    """Judge that a row gives the same alone, inside a batch, and under torch.

    Parameters
    ----------
    batch, one_by_one, torch_batch : arrays of shape (n_rows, 3)
        Probabilities of the same rows: numpy runtime in one batch, row by row, and torch.
    """
    # Not max(): a NaN must win.
    value = float(np.max([np.abs(one_by_one - batch).max(), np.abs(torch_batch - batch).max()]))
    return plain("single_row_parity", value, value <= MAX_PARITY_GAP, f"within {MAX_PARITY_GAP:g}")


def no_lookahead(moved: Sequence[str], canary_caught: bool) -> Gate:
    """Judge causality: nothing of the past moves when the future does, and the probe can tell.

    Parameters
    ----------
    moved : sequence of str
        Features of bar t that changed when bars after t did; labels, splits and scaler of
        the rows before test that changed when bars after them did.
    canary_caught : bool
        Whether the probe named a planted column that looks one bar ahead.
    """
    notes = [f"moved: {', '.join(moved)}"] if moved else []
    if not canary_caught:
        notes.append("the probe missed a planted future column")
    passed = not moved and canary_caught
    return plain("no_lookahead", len(moved), passed, "nothing moves", "; ".join(notes))


def shuffled_labels(interval: Interval, agreement: Interval) -> Gate:
    """Judge models trained on shuffled labels: their mean skill must not be above 0.

    Parameters
    ----------
    interval : Interval
        Mean skill over the shuffles, from `shuffling.train_on_nonsense`: those of a second set
        where the first was above 0.
    agreement : Interval
        Mean Matthews correlation of shuffled and true labels: a control that agrees with the
        truth for sure, either way, controls nothing, and fails too.
    """
    shuffled = agreement.low < MAX_AGREEMENT and agreement.high > -MAX_AGREEMENT
    verdict: Verdict = "pass" if interval.low <= 0.0 and shuffled else "fail"
    note = f"agreement of shuffled and true labels {agreement.value:.3f}"
    return estimate("shuffled_labels", interval, "95 % interval not above 0 twice", verdict, note)


def overall(gates: Sequence[Gate]) -> Verdict:
    """Return fail if any gate failed, else inconclusive if any is, else pass."""
    verdicts = {gate.verdict for gate in gates}
    return next(v for v in ("fail", "inconclusive", "pass") if v in verdicts)


def promotion_reasons(gates: Sequence[Gate]) -> list[str]:
    """Return why the bundle may not be promoted as it is; empty means it may."""
    words = {"fail": "failed", "inconclusive": "is inconclusive"}
    return [f"{g.name} {words[g.verdict]}" for g in gates if g.verdict != "pass"]


def gate_records(gates: Sequence[Gate]) -> dict[str, dict[str, Any]]:
    """Return the gates as JSON values by name."""
    return {gate.name: {k: v for k, v in asdict(gate).items() if k != "name"} for gate in gates}


def gate_table(gates: Sequence[Gate]) -> pd.DataFrame:
    """Return the gates as a table, one row per gate."""
    return pd.DataFrame([asdict(gate) for gate in gates]).set_index("name")
