"""The losses of both heads and their gradients in closed form, into memory kept for them.

A batch has 256 rows of five numbers, and an operation on so few takes as long as starting it.
So there are as few as possible here, and a number that takes part is a tensor made beforehand:
a Python number beside a tensor becomes one at every call, and is cast.
"""

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
    n_rows : int
        Rows of every batch.
    gamma, alpha, smoothing : float
        Of the focal loss.
    class_weights : Tensor of shape (3,)
        From train frequencies; says where and in which precision all of this happens.
    target_weights : sequence of two floats
        Of the second task: size of the move ahead, return over the horizon.
    """

    def __init__(
        self,
        n_rows: int,
        *,
        gamma: float,
        alpha: float,
        smoothing: float,
        class_weights: Tensor,
        target_weights: tuple[float, float],
    ) -> None:
        table = loss_table(alpha=alpha, smoothing=smoothing, class_weights=class_weights)
        self.table, self.gamma = table.div_(-n_rows), gamma  # row: label
        self.target_weights = class_weights.new_tensor(target_weights).mul_(2.0 / n_rows)
        self.one = class_weights.new_ones(())
        self.gradient, self.terms = (
            class_weights.new_zeros(n_rows, N_CLASSES + N_TARGETS) for _ in range(2)
        )
        self.parts = [(t[:, :N_CLASSES], t[:, N_CLASSES:]) for t in (self.gradient, self.terms)]

    def __call__(
        self, scores: Tensor, weights: Tensor, predicted: Tensor, targets: Tensor
    ) -> Tensor:
        """Return the gradient by scores and predictions side by side, shape (n_rows, 5).

        It is written over by the next call. The loss is added to what `total` sums up.

        Parameters
        ----------
        scores : Tensor of shape (n_rows, 3)
            Logits.
        weights : Tensor of shape (n_rows, 3)
            The row of `table` that belongs to each row's label.
        predicted, targets : Tensors of shape (n_rows, 2)
            Of the second task.
        """
        (by_scores, by_predicted), (of_scores, of_predicted) = self.parts
        self._focal(scores, weights, by_scores, of_scores)
        apart = predicted - targets
        torch.mul(apart, self.target_weights, out=by_predicted)
        of_predicted.addcmul_(apart, by_predicted, value=0.5)
        return self.gradient

    def _focal(self, scores: Tensor, weights: Tensor, gradient: Tensor, terms: Tensor) -> None:
        log_probs = torch.log_softmax(scores, 1)
        probs = log_probs.exp()
        slope = weights
        if self.gamma:
            rest = torch.sub(self.one, probs).clamp_min_(REST_FLOOR)
            weights = weights * (rest if self.gamma == 2.0 else torch.pow(rest, self.gamma - 1.0))
            slope = torch.addcmul(rest, probs, log_probs, value=-self.gamma).mul_(weights)
            weights.mul_(rest)
        torch.addcmul(slope, probs, slope.sum(dim=1, keepdim=True), value=-1.0, out=gradient)
        terms.addcmul_(weights, log_probs)

    def total(self) -> float:
        """Return the sum of the losses of all batches since the last call: waits for the device."""
        total = float(self.terms.sum(dtype=torch.float64))
        self.terms.zero_()
        return total
