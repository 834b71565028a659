"""Calibration on the calib split: closed-form inversion, then one temperature."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from v8lib.errors import CalibrationError, NoSkillError
from v8lib.inversion import invert_focal, softmax

if TYPE_CHECKING:  # production applies a calibration and fits none: numpy is enough
    import pandas as pd

Array = NDArray[np.float64]
TEMPERATURE_BOUNDS = (0.05, 20.0)
BATCHES = 30  # stretches of neighbouring rows behind the error of a mean
LEVEL = 0.975  # one-sided, of the proof that scores tell rows apart


@dataclass(frozen=True)
class Calibration:
    """What turns raw scores into final logits.

    Attributes
    ----------
    gamma, smoothing : float
        Of the loss that trained the net.
    class_weights : array of shape (3,)
        Of the loss that trained the net.
    inverse_temperature : float
        1 / T; 0 where calib showed no skill, and every row gets the class frequencies.
    prior : array of shape (3,)
        Class frequencies of train, used when `inverse_temperature` is 0.
    """

    gamma: float
    smoothing: float
    class_weights: NDArray[np.float64]
    inverse_temperature: float
    prior: NDArray[np.float64]

    @property
    def temperature(self) -> float | None:
        """T, or None where calib showed no skill."""
        return 1.0 / self.inverse_temperature if self.inverse_temperature else None


def inverted_logits(
    raw_logits: NDArray[np.floating],
    *,
    gamma: float,
    smoothing: float,
    class_weights: NDArray[np.floating],
) -> Array:
    """Return ln of the inverted probabilities, shape (n_rows, 3): logits before temperature."""
    probs = softmax(raw_logits)
    return np.log(
        invert_focal(probs, gamma=gamma, smoothing=smoothing, class_weights=class_weights)
    )


def fit_temperature(
    logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    *,
    bounds: tuple[float, float] = TEMPERATURE_BOUNDS,
) -> float:
    """Return the temperature that minimises the log loss of held-out rows.

    The probabilities become ``softmax(logits / temperature)``: a value above 1 softens a
    model that is too sure, a value below 1 sharpens one that is not sure enough.

    Parameters
    ----------
    logits : array of shape (n_rows, 3)
        Scores from the calib split: later than every train row, not used to stop training.
    labels : integer array of shape (n_rows,)
        What happened, `Label` values.
    bounds : (float, float)
        Search interval, both positive.

    Raises
    ------
    NoSkillError
        If the scores do not tell these rows apart better than chance does (`tells_apart`), or
        the best temperature is above the upper bound: the model is then no better than saying
        the same for every row.
    CalibrationError
        If the shapes disagree, a logit is not finite, or the best temperature is below the
        lower bound (rows that are predicted perfectly).

    Notes
    -----
    Guo et al. (2017), section 4.2. The log loss is convex in 1 / temperature, so its slope
    changes sign once and bracketing finds the optimum.

    Examples
    --------
    Logits stretched by three need a temperature of about three:

    >>> rng = np.random.default_rng(7)
    >>> honest = rng.normal(size=(50_000, 3))
    >>> labels = (honest + rng.gumbel(size=honest.shape)).argmax(axis=1)
    >>> round(fit_temperature(3.0 * honest, labels), 1)
    3.0
    """
    from scipy.optimize import brentq

    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise CalibrationError(f"shapes disagree: logits {logits.shape}, labels {labels.shape}")
    if not np.isfinite(logits).all():
        raise CalibrationError("logits must be finite")
    low, high = bounds
    if not 0.0 < low < high:
        raise CalibrationError(f"bounds must be positive and increasing, got {bounds}")
    realised = np.take_along_axis(logits, labels[:, None], axis=1).mean()

    def slope(inverse_temperature: float) -> float:
        expected = (softmax(inverse_temperature * logits) * logits).sum(axis=1).mean()
        return float(expected - realised)

    if slope(1.0 / high) >= 0.0:
        raise NoSkillError(f"no skill on {len(labels)} rows: the best temperature is above {high}")
    if not tells_apart(logits, labels):
        raise NoSkillError(f"no skill on {len(labels)} rows: chance alone may score as well")
    if slope(1.0 / low) <= 0.0:
        raise CalibrationError(f"the best temperature is below {low}: rows predicted perfectly")
    return 1.0 / brentq(slope, 1.0 / high, 1.0 / low, xtol=1e-10)


def tells_apart(logits: Array, labels: NDArray[np.integer]) -> bool:
    """Return whether scores rise with what happens, beyond what chance explains (97.5 %).

    The score test of a model without skill (Cox and Hinkley 1974, section 9.3): the covariance
    of each class's score with its occurrence, summed over the classes. A score that is the same
    for all rows has none, however well it knows the frequencies. Labels overlap, so the error of
    the mean comes from the means of consecutive batches of rows, with Student's distribution.

    Parameters
    ----------
    logits, labels
        As in `fit_temperature`, in order of time.
    """
    from scipy.stats import t

    if not np.ptp(logits, axis=0).any():  # rounding would tell equal rows apart
        return False
    happened = np.eye(logits.shape[1])[labels]
    rises = ((logits - logits.mean(axis=0)) * (happened - happened.mean(axis=0))).sum(axis=1)
    n_batches = max(2, min(BATCHES, len(labels) // 2))
    means = np.array([part.mean() for part in np.array_split(rises, n_batches) if len(part)])
    if len(means) < 2:
        return False
    error = means.std(ddof=1) / len(means) ** 0.5
    return bool(means.mean() > t.ppf(LEVEL, len(means) - 1) * error)


def fit_calibration(
    raw_logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    *,
    gamma: float,
    smoothing: float,
    class_weights: NDArray[np.floating],
    prior: NDArray[np.floating],
) -> Calibration:
    """Return the calibration of a net from its raw scores on the calib split.

    Where calib shows no skill the answer is the class frequencies of train for every row (an
    inverse temperature of 0): a model that knows nothing then says so.

    Parameters
    ----------
    raw_logits : array of shape (n_rows, 3)
        The net's raw scores on calib.
    labels : integer array of shape (n_rows,)
        What happened on calib.
    gamma, smoothing, class_weights
        Of the loss that trained the net.
    prior : array of shape (3,)
        Class frequencies of train.
    """
    logits = inverted_logits(
        raw_logits, gamma=gamma, smoothing=smoothing, class_weights=class_weights
    )
    try:
        inverse_temperature = 1.0 / fit_temperature(logits, labels)
    except NoSkillError:
        inverse_temperature = 0.0
    return Calibration(
        gamma,
        smoothing,
        np.asarray(class_weights, dtype=np.float64),
        inverse_temperature,
        np.asarray(prior, dtype=np.float64),
    )


def apply_calibration(calibration: Calibration, raw_logits: NDArray[np.floating]) -> Array:
    """Return the final logits, shape (n_rows, 3), centred: softmax of them is the probability."""
    learned = calibration.inverse_temperature * inverted_logits(
        raw_logits,
        gamma=calibration.gamma,
        smoothing=calibration.smoothing,
        class_weights=calibration.class_weights,
    )
    no_skill = np.equal(calibration.inverse_temperature, 0.0)
    logits = np.where(no_skill, np.log(calibration.prior), learned)
    return logits - np.add.reduce(logits, axis=1, keepdims=True) / logits.shape[1]


def temperature_curve(logits: Array, labels: NDArray[np.integer]) -> "pd.DataFrame":
    """Return the log loss at each temperature of a grid: columns temperature, log_loss."""
    import pandas as pd

    from v8lib.metrics import log_loss

    temperatures = np.geomspace(0.25, 4.0, 41)
    losses = [log_loss(softmax(logits / t), labels) for t in temperatures]
    return pd.DataFrame({"temperature": temperatures, "log_loss": losses})


def calibration_numbers(calibration: Calibration) -> dict[str, Any]:
    """Return a calibration as JSON values."""
    return {
        "gamma": calibration.gamma,
        "smoothing": calibration.smoothing,
        "class_weights": calibration.class_weights.tolist(),
        "inverse_temperature": calibration.inverse_temperature,
        "prior": calibration.prior.tolist(),
    }


def calibration_from(numbers: Mapping[str, Any]) -> Calibration:
    """Return the calibration behind `calibration_numbers`."""
    return Calibration(
        numbers["gamma"],
        numbers["smoothing"],
        np.array(numbers["class_weights"]),
        numbers["inverse_temperature"],
        np.array(numbers["prior"]),
    )
