"""What part training says: its comparisons, its limits and its tables."""

from collections.abc import Mapping, Sequence
from itertools import chain
from statistics import mean, median, stdev
from typing import Any

from benchmarks.figures import NEVER_S, Comparison, comparison
from benchmarks.training import (
    BATCHES,
    LIGHTGBM,
    PLAIN,
    SKLEARN,
    SKORCH,
    alone_name,
    at_once_name,
)
from benchmarks.words import one_row, ratio_words, seconds_or_never
from v8ops.proof.checks import Check, true
from v8ops.proof.page import table

Found = Mapping[str, Any]
LEAST_RATIO = {"fp32": 2.2, "bf16": 3.5}
LEAST_OF_FLOOR = 0.45
PAIRED_ERRORS = 2.0  # standard errors within which two log losses count as equal


def comparisons(found: Found) -> list[Comparison]:
    """Return ours beside each peer."""
    together, alone = found["together"], found["alone"]
    made = [
        comparison(
            "training three symbols, rows/s by the clock",
            "rows/s",
            (name, together[name]["rows_per_second"]),
            (f"{PLAIN}, one after the other", together[PLAIN]["rows_per_second"]),
            higher_is_better=True,
        )
        for name in together
        if name != PLAIN
    ]
    own = alone_name("fp32", found["cores"], found["batch"])
    one = alone_name("fp32", 1, found["batch"])
    for name, peer in ((n, p) for n in dict.fromkeys((own, one)) for p in (PLAIN, SKORCH, SKLEARN)):
        made.append(
            comparison(
                "training one symbol",
                "rows/s",
                (name, alone[name]["rows_per_second"]),
                (peer, alone[peer]["rows_per_second"]),
                higher_is_better=True,
            )
        )
    made += [c for peer in (PLAIN, SKORCH, SKLEARN, LIGHTGBM) for c in _to_level(found, own, peer)]
    made += [_log_loss(found, own, peer) for peer in (PLAIN, SKORCH, SKLEARN, LIGHTGBM)]
    made.append(
        comparison(
            "seconds to the best valid log loss of each",
            "s",
            (own, alone[own]["seconds_to_best"]),
            (LIGHTGBM, alone[LIGHTGBM]["seconds_to_best"]),
            higher_is_better=False,
        )
    )
    return made


def _to_level(found: Found, own: str, peer: str) -> list[Comparison]:
    """Return the times to the fixed log loss, if the peer got there in every round."""
    pair = [found["alone"][name]["seconds_to_level"] for name in (own, peer)]
    if None in pair[1]:
        return []
    seconds = [NEVER_S if value is None else value for value in pair[0]]
    what = f"seconds to a valid log loss of {found['level']:.4f}"
    return [comparison(what, "s", (own, seconds), (peer, pair[1]), higher_is_better=False)]


def _log_loss(found: Found, own: str, peer: str) -> Comparison:
    alone, names = found["alone"], (own, peer)
    pair = [(name, alone[name]["log_loss"]) for name in names]
    return comparison("best valid log loss", "nats", *pair, higher_is_better=False)


def checks(found: Found) -> list[Check]:
    """Return the issue's limits on training."""
    made = []
    for precision, least in LEAST_RATIO.items():
        name = at_once_name(precision)
        if name not in found["together"]:
            continue
        made.append(_ratio_check(found, name, precision, least))
        made.append(_quality_check(found, name, precision))
    title = f"one symbol, fp32, {found['cores']} threads, share of the matrix products' rows/s"
    shares = [ours / products for ours, products in found["in_turns"]]
    share, extent = median(shares), f"{min(shares):.1%} to {max(shares):.1%}"
    words = f"{share:.1%} ({extent}, {len(shares)} turns)"
    limit = f"at least {LEAST_OF_FLOOR:.1%}"
    return [*made, true(title, words, limit, share >= LEAST_OF_FLOOR)]


def _ratio_check(found: Found, name: str, precision: str, least: float) -> Check:
    pair = [found["together"][n]["rows_per_second"] for n in (name, PLAIN)]
    ratio = median(a / b for a, b in zip(*pair, strict=True))
    title = f"three symbols at once against the plain loop, {precision}"
    return Check(title, f"{ratio:.2f} times", f"at least {least:.1f} times", ratio >= least)


def _quality_check(found: Found, name: str, precision: str) -> Check:
    """Compare valid log losses symbol by symbol and round by round, same seeds."""
    pair = [list(chain(*found["together"][n]["log_loss"])) for n in (name, PLAIN)]
    gaps = [a - b for a, b in zip(*pair, strict=True)]
    error = stdev(gaps) / len(gaps) ** 0.5 if len(gaps) > 1 else 0.0
    return true(
        f"their valid log loss against the plain loop's, {precision}",
        f"{mean(gaps):+.4f} (standard error {error:.4f}, {len(gaps)} pairs)",
        f"not above by more than {PAIRED_ERRORS:.0f} standard errors",
        mean(gaps) <= PAIRED_ERRORS * error,
    )


def tables(found: Found) -> str:
    """Return the part's tables in Markdown."""
    rows = ", ".join(f"{n:,}" for n in found["rows"])
    opening = (
        f"{', '.join(found['symbols'])} of the simulated market, {rows} train rows, "
        f"{found['epochs']} epochs; batch {found['batch']} unless said. The log loss to reach is "
        f"{found['level']:.4f}, the exact probabilities have {found['possible_log_loss']:.4f}. "
        "Peers and the plain loop use all cores. Rows/s of one symbol leave out judging valid; "
        "of all symbols they hold everything from data in memory to the last result."
    )
    return "\n\n".join([opening, _together_table(found), _alone_table(found), _batch_table(found)])


def _together_table(found: Found) -> str:
    plain = found["together"][PLAIN]["rows_per_second"]
    rows = []
    for name, entry in found["together"].items():
        ratio = ratio_words(entry["rows_per_second"], plain)
        each = list(chain(*entry["each"]))
        losses = f"{mean(chain(*entry['log_loss'])):.4f}"
        rows.append(
            (name, one_row(entry["rows_per_second"]), ratio, f"{median(each):,.0f}", losses)
        )
    head = ("three symbols", "rows/s by the clock", "against plain", "rows/s of each", "log loss")
    return table(head, rows)


def _alone_table(found: Found) -> str:
    plain = found["alone"][PLAIN]["rows_per_second"]
    rows: list[Sequence[str]] = [
        (
            name,
            "n/a" if name == LIGHTGBM else one_row(entry["rows_per_second"]),
            "n/a" if name == LIGHTGBM else ratio_words(entry["rows_per_second"], plain),
            f"{mean(entry['log_loss']):.4f}",
            seconds_or_never(entry["seconds_to_level"]),
            seconds_or_never(entry["seconds_to_best"]),
        )
        for name, entry in found["alone"].items()
    ]
    rows += [
        (name, one_row(values), ratio_words(values, plain), "n/a", "n/a", "n/a")
        for name, values in found["floor"].items()
    ]
    head = ("one symbol", "rows/s", "against plain", "best log loss", "s to the level", "s to best")
    return table(head, rows)


def _batch_table(found: Found) -> str:
    """Return what a larger batch buys, on one thread."""
    alone = found["alone"]
    base = alone[alone_name("fp32", 1, found["batch"])]
    rows = []
    for precision in LEAST_RATIO:
        for batch in BATCHES:
            entry = alone.get(alone_name(precision, 1, batch))
            if entry is None:
                continue
            gap = mean(entry["log_loss"]) - mean(base["log_loss"])
            ratio = ratio_words(entry["rows_per_second"], base["rows_per_second"])
            rows.append((f"{precision}, batch {batch}", ratio, f"{gap:+.4f}"))
    head = ("one thread", f"rows/s against fp32, batch {found['batch']}", "log loss against it")
    return table(head, rows)
