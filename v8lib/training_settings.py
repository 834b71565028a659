"""How a net is trained, as plain values: what a run records and a resume compares."""

from dataclasses import dataclass

from v8lib.config import Device, Normalization, Precision


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; the fields mean what params/default.yaml says.

    `fold` and `member` tell the nets of a walk forward apart: each has random streams of
    its own.
    """

    normalization: Normalization
    dropout: float
    focal_gamma: float
    focal_alpha: float
    label_smoothing: float
    aux_volatility_weight: float
    aux_return_weight: float
    mirror_share: float
    epochs: int
    patience_epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    gradient_clip: float
    precision: Precision
    device: Device
    seed: int
    symbol: str
    fold: int = 0
    member: int = 0

    @property
    def stream(self) -> tuple[str | int, ...]:
        """The names that every random stream of this training begins with."""
        return (self.symbol, "fold", self.fold, "member", self.member)

    @property
    def uses_targets(self) -> bool:
        """Whether the net also learns what a label leaves out."""
        return self.aux_volatility_weight > 0.0 or self.aux_return_weight > 0.0
