"""An honestly trained pipeline, and the ways to take it again with one thing changed."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from v8lib.case import Case, Model
from v8lib.config import Parameters
from v8lib.preparation import Steps, steps_of
from v8lib.recipe import build_case, open_bars
from v8lib.scaling import Scaler
from v8lib.sources import Source


@dataclass(frozen=True)
class Honest:
    """An honestly trained pipeline and what it was made from."""

    source: Source
    parameters: Parameters
    case: Case

    @property
    def steps(self) -> Steps:
        """The steps that prepared it."""
        return steps_of(self.parameters)

    def with_models(self, change: Callable[[Model], Model]) -> Case:
        """Return the case with every fold's model changed."""
        return replace(self.case, models=[change(model) for model in self.case.models])

    def with_scalers(self, scalers: list[Scaler]) -> Case:
        """Return the case with other scalers in front of the same nets."""
        pairs = zip(self.case.models, scalers, strict=True)
        return replace(self.case, models=[replace(model, scaler=s) for model, s in pairs])

    def rebuilt(self, **steps: Callable) -> Case:
        """Return the whole pipeline taken again with other steps."""
        return build_case(self.source, self.parameters, steps=replace(self.steps, **steps))


def build_honest(parameters: Parameters) -> Honest:
    """Return the honest pipeline of these parameters, trained."""
    source = open_bars(parameters)
    return Honest(source, parameters, build_case(source, parameters))
