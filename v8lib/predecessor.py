"""The old recipe, V6, made again, so that its failure is measured here and not only quoted.

Known of V6: raw prices without a scaler, a 256-128-64-3 ReLU net without any regularisation,
plain cross-entropy, rows given out at random. Not known: its exact columns, how long it was
trained and on which labels. The columns here are a reconstruction, the length of training is
the caller's, and the labels are this suite's, so that nothing else differs from V8.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.adam import adam

from v8lib.bars import PRICES
from v8lib.case import Model
from v8lib.config import Parameters
from v8lib.decision import actionable
from v8lib.errors import SplitError
from v8lib.feature import Feature, plain
from v8lib.inversion import softmax
from v8lib.labels import CLASS_NAMES
from v8lib.preparation import Prepared, Steps, steps_of
from v8lib.runtime import Prediction
from v8lib.scaling import ROWS_AT_A_TIME, Scaler, apply_scaler
from v8lib.seeds import stream, torch_seed
from v8lib.series import Segment
from v8lib.splits import MIN_ROWS, SplitIndex

Array = NDArray[np.float64]
Data = tuple[NDArray[np.float32], NDArray[np.int64]]
Weights = tuple[tuple[Array, Array], ...]  # of each linear layer, as `PredecessorNet.arrays`
HIDDEN = (256, 128, 64)
LEARNING_RATE = 1e-3
# torch.optim.Adam's own function with its defaults: the class would load torch's compiler.
ADAM = {"lr": LEARNING_RATE, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}
ADAM |= {"amsgrad": False, "maximize": False, "fused": True}
SHARE_KEYS = ("train_share", "valid_share", "calib_share")


def raw_price_table(interval_s: int) -> list[Feature]:
    """Return V6's columns: prices, their averages and differences, and volume, all unscaled.

    Prices and differences are in quote units, volume in base units; 25 columns. `interval_s`
    is there because a table takes it; no column depends on the bar length.
    """
    wide = (20, 50, 100)
    return [
        *(plain(n, "price", 1, lambda s, n=n: np.exp(getattr(s, n))) for n in PRICES),
        *(
            plain(f"sma_{w}", "average", w, lambda s, w=w: s.total("prices", w) / w)
            for w in (5, 10, 20, 50, 100, 200)
        ),
        *(plain(f"highest_{w}", "range", w, lambda s, w=w: np.exp(s.highest(w))) for w in wide),
        *(plain(f"lowest_{w}", "range", w, lambda s, w=w: np.exp(s.lowest(w))) for w in wide),
        *(
            plain(f"change_{w}", "difference", w + 1, lambda s, w=w: _change(s, w))
            for w in (1, 4, 16, 64)
        ),
        plain("body", "difference", 1, lambda s: np.exp(s.close) - np.exp(s.open)),
        plain("high_minus_low", "difference", 1, lambda s: np.exp(s.high) - np.exp(s.low)),
        *(
            plain(f"volume_{w}", "volume", w, lambda s, w=w: s.total("volume", w) / w)
            for w in (1, 20, 100)
        ),
    ]


def _change(s: Segment, n_bars: int) -> Array:
    return np.exp(s.close) - np.exp(s.ago("close", n_bars))


def identity_scaler(names: Sequence[str]) -> Scaler:
    """Return the scaler that changes nothing: mean 0, scale 1, no clip."""
    return Scaler(tuple(names), np.zeros(len(names)), np.ones(len(names)), float("inf"))


def random_split(
    usable: NDArray[np.bool_],
    *,
    seed: int,
    symbol: str,
    train_share: float,
    valid_share: float,
    calib_share: float,
) -> list[SplitIndex]:
    """Return one fold whose rows were given out at random: V6's mistake, not for anything else.

    Every test bar has train bars on both sides of it, whose labels look at the same moves.
    Parameters are those of `splits.split_by_time`; inside a split the positions increase.

    Raises
    ------
    SplitError
        If a split would have fewer than `MIN_ROWS` rows.
    """
    rows = np.flatnonzero(usable)
    shuffled = stream(seed, symbol, "predecessor", "split").permutation(rows)
    edges = np.cumsum([0.0, train_share, valid_share, calib_share]) * len(rows) + 1e-9
    cuts = [*edges.astype(int).tolist(), len(rows)]
    parts = [np.sort(shuffled[a:b]) for a, b in pairwise(cuts)]
    if min(map(len, parts)) < MIN_ROWS:
        raise SplitError(f"a split would have fewer than {MIN_ROWS} of {len(rows)} rows")
    return [SplitIndex(*parts)]


class PredecessorNet(nn.Module):
    """Raw features in, raw scores out: linear and ReLU, 256-128-64-3, and nothing between.

    **Shape**: (n_rows, n_features) float32 -> (n_rows, 3) float32.
    """

    def __init__(self, n_features: int) -> None:
        super().__init__()
        pairs = pairwise((n_features, *HIDDEN))
        hidden = [layer for a, b in pairs for layer in (nn.Linear(a, b), nn.ReLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(HIDDEN[-1], len(CLASS_NAMES)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the raw scores."""
        return self.layers(x)

    def arrays(self) -> Weights:
        """Return weight (n_out, n_in) and bias (n_out,) of each linear layer, in float64."""
        linear = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        return tuple(
            (layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy())
            for layer in linear
        )


@dataclass(frozen=True)
class PredecessorModel:
    """A trained `PredecessorNet` as V6 served it: softmax and argmax, no calibration."""

    scaler: Scaler
    weights: Weights
    min_confidence: float

    def predict(self, features: NDArray[np.float32]) -> Prediction:
        """Return the prediction of unscaled features, shape (n_rows, n_features)."""
        scaled = apply_scaler(self.scaler, np.atleast_2d(features))
        starts = range(0, len(scaled), ROWS_AT_A_TIME)
        logits = np.concatenate([self._logits(scaled[k : k + ROWS_AT_A_TIME]) for k in starts])
        probs = softmax(logits)
        acting = actionable(probs, min_confidence=self.min_confidence)
        return Prediction(logits, probs, probs.argmax(axis=1), acting)

    def _logits(self, scaled: NDArray[np.float32]) -> Array:
        x = scaled.astype(np.float64)
        for k, (weight, bias) in enumerate(self.weights):
            x = (np.maximum(x, 0.0) if k else x) @ weight.T + bias
        return x


def train_predecessor(prepared: Prepared, parameters: Parameters) -> list[Model]:
    """Return V6's model of each fold, as the `train` of `recipe.build_case` wants it.

    Only `epochs`, `batch_size`, `min_confidence`, `symbol` and `seed` are looked at.
    """
    names = ("symbol", "seed", "epochs", "batch_size", "min_confidence")
    return fit_predecessors(prepared, **{name: getattr(parameters, name) for name in names})


def fit_predecessors(
    prepared: Prepared,
    *,
    symbol: str,
    seed: int,
    epochs: int,
    batch_size: int,
    min_confidence: float,
) -> list[Model]:
    """Return V6's model of each fold after all `epochs`, whatever valid would have said.

    Parameters
    ----------
    prepared : Prepared
        From steps of this module; only its train rows are looked at.
    symbol, seed : str, int
        Where the random streams begin, apart from those of V8's training.
    epochs, batch_size : int
        Passes over train and rows of a batch; with 0 epochs the nets are as they were drawn.
    min_confidence : float
        Confidence from which a signal is actionable.
    """
    models: list[Model] = []
    pairs = zip(prepared.scalers, prepared.split("train"), strict=True)
    for fold, (scaler, train) in enumerate(pairs):
        streams = (seed, symbol, "predecessor", fold)
        data = apply_scaler(scaler, train.features), train.labels
        weights = _trained(data, streams, epochs, batch_size)
        models.append(PredecessorModel(scaler, weights, min_confidence))
    return models


def _trained(data: Data, streams: tuple[Any, ...], epochs: int, batch_size: int) -> Weights:
    """Return the weights after Adam on cross-entropy; `streams` begins every random stream."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(*streams, "weights"))
        net = PredecessorNet(data[0].shape[1])
    x, y = (torch.from_numpy(array) for array in data)
    weights = list(net.parameters())
    means, squares = ([torch.zeros_like(w) for w in weights] for _ in range(2))
    counts = [torch.zeros(()) for _ in weights]
    for epoch in range(epochs):
        order = torch.from_numpy(stream(*streams, "rows", epoch).permutation(len(x)))
        for chosen in order.split(batch_size):
            loss = nn.functional.cross_entropy(net(x[chosen]), y[chosen])
            gradients = list(torch.autograd.grad(loss, weights))
            with torch.no_grad():
                adam(weights, gradients, means, squares, [], counts, **ADAM)
    return net.arrays()


def predecessor_steps(parameters: Parameters, *, chronological: bool = False) -> Steps:
    """Return V6's steps with this suite's labels, as `recipe.build_case` wants them.

    `chronological` keeps the suite's purged split in order of time instead of the random one,
    so that what the random split alone does can be measured.
    """
    return old_steps(
        steps_of(parameters),
        symbol=parameters.symbol,
        seed=parameters.seed,
        shares={key: getattr(parameters, key) for key in SHARE_KEYS},
        chronological=chronological,
    )


def old_steps(
    own: Steps, *, symbol: str, seed: int, shares: Mapping[str, float], chronological: bool
) -> Steps:
    """Return the suite's `own` steps with V6's columns, without a scaler, and with its split."""
    at_random = partial(random_split, symbol=symbol, seed=seed, **shares)
    return Steps(
        raw_price_table,
        own.labels,
        own.split if chronological else at_random,
        lambda rows, split, names: identity_scaler(names),
    )
