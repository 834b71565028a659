"""What a test set can show: the smallest skill it would find, and what it found, in words."""

from math import ceil, isfinite
from statistics import NormalDist
from typing import Literal

from v8lib.errors import ParameterError
from v8lib.intervals import LEVEL, Interval

Z_LEVEL = NormalDist().inv_cdf((1.0 + LEVEL) / 2.0)
FOUR_IN_FIVE = 0.8


def detectable_skill(interval: Interval, *, power: float = FOUR_IN_FIVE) -> float:
    """Return the smallest true skill whose 95 % interval would be above 0 with this probability.

    (z_0.975 + z_power) standard errors, in the unit of the interval: the minimum detectable
    effect of Bloom (1995). The error is the one the bootstrap interval implies,
    (high - low) / (2 z_0.975): estimates are taken as normal, and as noisy at that skill as at
    the one found.

    Parameters
    ----------
    interval : Interval
        Log-loss skill on the test split, from `intervals.skill_interval`.
    power : float
        Probability of showing it, above 0 and below 1.

    Raises
    ------
    ParameterError
        If the power is not a probability between 0 and 1.
    """
    if not 0.0 < power < 1.0:
        raise ParameterError(f"power must be above 0 and below 1, not {power}")
    error = (interval.high - interval.low) / (2.0 * Z_LEVEL)
    return (Z_LEVEL + NormalDist().inv_cdf(power)) * error


def skill_words(interval: Interval) -> Literal["skill", "no skill"]:
    """Return "skill" only if the whole interval is above 0; "no skill" means none was shown."""
    return "skill" if interval.low > 0.0 else "no skill"


def power_sentence(interval: Interval) -> str:
    """Return one sentence: what skill the test set could show, and what the model shows on it."""
    if not all(isfinite(number) for number in (interval.value, *interval.ci)):
        return "The skill has no interval on this test set, so nothing can be said about it."
    return f"{_could_show(detectable_skill(interval))}; {_shows(interval)}."


def _could_show(least: float) -> str:
    if least >= 1.0:  # skill is at most 1
        return "This test set is too small to show any skill reliably"
    if least == 0.0:
        return "This test set shows no spread, so what skill it could show is not known"
    shown = _percent(ceil(least * 1e4) / 1e4)  # up: "or more" must not promise too much
    return f"This test set could show a skill of {shown} or more (at least four times in five)"


def _shows(interval: Interval) -> str:
    value, low, high = (_percent(x) for x in (interval.value, interval.low, interval.high))
    found = f"the model shows {value}, and its 95 % interval from {low} to {high}"
    if skill_words(interval) == "skill":
        return f"{found} is wholly above zero: skill is shown"
    if interval.high < 0.0:
        return f"{found} is wholly below zero: it does worse than the reference"
    return f"{found} does not exclude zero: no skill was shown, which does not prove there is none"


def _percent(share: float) -> str:
    """Return a share as percent: two decimals, or two digits where those would show zero."""
    text = f"{100.0 * share:.2f}"
    return f"{text if float(text) or not share else f'{100.0 * share:.2g}'} %"
