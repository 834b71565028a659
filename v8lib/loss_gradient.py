"""The losses of both heads and their gradients in closed form, into memory kept for them.

A batch has 256 rows of five numbers, and an operation on so few takes as long as starting it.
So there are as few as possible here, and each is put together once, with everything that it is
called with. A number that takes part is a tensor made beforehand: a Python number beside a
tensor becomes one at every call, and is cast. A class has its numbers one after the other.
"""

from functools import partial

import torch
from torch import Tensor

from v8lib.auxiliary import N_TARGETS
from v8lib.losses import REST_FLOOR, loss_table
from v8lib.model import N_CLASSES


class LossGradient:
    """Gradient of `losses.focal_loss` plus `auxiliary.auxiliary_loss`, for batches of one size.

    With t_i = alpha * w_i * q_i as in `losses.loss_table`, the focal loss of a row is the sum of
    -t_i * (1 - p_i)**gamma * ln p_i. Its slope by ln p_i is s_i = -t_i * ((1 - p_i)**gamma
    - gamma * p_i * (1 - p_i)**(gamma - 1) * ln p_i), and by the logits s_i - p_i * sum of s.

    Parameters
    ----------
    scores : Tensor of shape (5, n_rows)
        Logits and, below them, predicted targets, where a batch's are found at every call.
    slope : Tensor of shape (5, n_rows)
        Where their gradient goes.
    gamma, alpha, smoothing : float
        Of the focal loss.
    class_weights : Tensor of shape (3,)
        From train frequencies.
    target_weights : sequence of two floats
        Of the second task: size of the move ahead, return over the horizon.

    Attributes
    ----------
    table : Tensor of shape (3, 3)
        What the loss makes of a label: the label's row.
    """

    def __init__(
        self,
        scores: Tensor,
        slope: Tensor,
        *,
        gamma: float,
        alpha: float,
        smoothing: float,
        class_weights: Tensor,
        target_weights: tuple[float, float],
    ) -> None:
        n_rows = scores.shape[1]
        table = loss_table(alpha=alpha, smoothing=smoothing, class_weights=class_weights)
        self.table = table.div_(-n_rows)
        self.terms = torch.zeros_like(scores)
        both = [t.split([N_CLASSES, N_TARGETS]) for t in (scores, slope, self.terms)]
        focal, second = zip(*both, strict=True)
        self._build_focal(*focal, gamma)
        self._build_second_task(*second, scores.new_tensor(target_weights) * (2.0 / n_rows))

    def _build_focal(self, logits: Tensor, slope: Tensor, terms: Tensor, gamma: float) -> None:
        log_probs, probs, rest, power, weights, inner = (torch.empty_like(logits) for _ in range(6))
        self.before = [partial(torch.log_softmax, logits, 0, out=log_probs)]
        self.weigh, self.after = weights.copy_, []
        if gamma:
            self.before += [
                partial(torch.exp, log_probs, out=probs),
                partial(torch.sub, logits.new_ones(()), probs, out=rest),
                partial(rest.clamp_min_, REST_FLOOR),
            ]
            if gamma == 2.0:
                power = rest
            else:
                self.before.append(partial(torch.pow, rest, gamma - 1.0, out=power))
            self.weigh = partial(torch.mul, power, out=weights)
            self.after += [
                partial(torch.addcmul, rest, probs, log_probs, value=-gamma, out=inner),
                partial(inner.mul_, weights),
                partial(weights.mul_, rest),
            ]
        else:
            inner = weights
        self.after += [
            partial(torch._log_softmax_backward_data, inner, log_probs, 0, inner.dtype, out=slope),
            partial(terms.addcmul_, weights, log_probs),
        ]

    def _build_second_task(
        self, predicted: Tensor, slope: Tensor, terms: Tensor, weights: Tensor
    ) -> None:
        apart = torch.empty_like(predicted)
        self.compare = partial(torch.sub, predicted, out=apart)
        self.after += [
            partial(torch.mul, apart, weights[:, None], out=slope),
            partial(terms.addcmul_, apart, slope, value=0.5),
        ]

    def __call__(self, weights: Tensor, targets: Tensor) -> None:
        """Put the gradient of a batch's loss into `slope`, and add the loss to `total`.

        Parameters
        ----------
        weights : Tensor of shape (3, n_rows)
            In each column the row of `table` that belongs to the row's label.
        targets : Tensor of shape (2, n_rows)
            Of the second task.
        """
        for call in self.before:
            call()
        self.weigh(weights)
        self.compare(targets)
        for call in self.after:
            call()

    def total(self) -> float:
        """Return the sum of the losses of all batches since the last call: waits for the device."""
        total = float(self.terms.sum(dtype=torch.float64))
        self.terms.zero_()
        return total
