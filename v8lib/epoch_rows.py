"""The rows of an epoch, batch after batch: shuffled, and some of them upside down."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from v8lib.labels import CLASS_NAMES
from v8lib.mirror import Mirror

CHUNK_ROWS = 8_192  # gathered at a time: few calls, and no second copy of a whole year of bars
TURNED_TARGETS = (1.0, -1.0)  # a size upside down is the same, a return the other way round

Batch = tuple[Tensor, Tensor, Tensor]


class EpochRows:
    """The train rows on their device, given out in batches.

    Parameters
    ----------
    x : float32 array of shape (n_rows, n_features)
        Scaled features of the train split.
    y : int64 array of shape (n_rows,)
        Their labels.
    targets : Tensor of shape (n_rows, 2)
        Their standardised auxiliary targets.
    mirror : Mirror
        How features turn.
    share : float
        Share of the rows to be turned.
    batch_size : int
        Rows of a batch; what is left over at the end of an epoch is left out.
    device, dtype
        Where the rows lie, and the precision of the features given out.
    """

    def __init__(
        self,
        x: NDArray[np.float32],
        y: NDArray[np.int64],
        targets: Tensor,
        *,
        mirror: Mirror,
        share: float,
        batch_size: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.x, self.y = (torch.from_numpy(part).to(device) for part in (x, y))
        self.targets = targets.to(device).t().contiguous()
        self.sign, self.shift = (
            torch.from_numpy(part).to(device) for part in (mirror.sign, mirror.shift)
        )
        self.turned_targets = torch.tensor(TURNED_TARGETS, device=device)[:, None]
        self.share, self.device, self.dtype = share, device, dtype
        self.batch = min(batch_size, len(y))
        self.steps = len(y) // self.batch

    def batches(self, rng: np.random.Generator, table: Tensor) -> Iterator[Batch]:
        """Yield each batch of a new epoch: features, what the loss makes of labels, targets.

        `table`, shape (3, 3), has a row for each label: it is given out in the label's place, as
        a column. So are the targets: shapes (batch, n_features), (3, batch) and (2, batch).
        """
        order = rng.permutation(len(self.y))
        turned = rng.random(len(order)) < self.share
        order = order[: self.steps * self.batch]
        places = np.flatnonzero(turned[order])  # in the order of the epoch
        rows = torch.from_numpy(order).to(self.device)
        upside_down = torch.from_numpy(places).to(self.device)
        y, targets = self.y.index_select(0, rows), self.targets.index_select(1, rows)
        y[upside_down] = len(CLASS_NAMES) - 1 - y[upside_down]  # DOWN and UP change places
        weights = table.t().index_select(1, y)
        targets[:, upside_down] *= self.turned_targets
        chunk = max(1, CHUNK_ROWS // self.batch) * self.batch
        for start in range(0, len(order), chunk):
            some = slice(start, min(start + chunk, len(order)))
            low, high = np.searchsorted(places, (some.start, some.stop))
            x = self._features(rows[some], upside_down[low:high] - start)
            ahead = (part[:, some].split(self.batch, dim=1) for part in (weights, targets))
            yield from zip(x.split(self.batch), *ahead, strict=True)

    def _features(self, rows: Tensor, upside_down: Tensor) -> Tensor:
        """Return the features of some rows, those at the places of `upside_down` turned."""
        x = self.x.index_select(0, rows)
        turned = torch.addcmul(self.shift, x.index_select(0, upside_down), self.sign)
        x.index_copy_(0, upside_down, turned)
        return x.to(self.dtype)
