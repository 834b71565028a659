"""One block of new bars of a symbol: answers, faults, routing, signals, labels and windows.

The block is gone through in pieces. Within a piece the same versions are in use; a piece ends
before a bar at which one of them fails, and after a bar at which their windows are looked at.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from v8ops.production.block_labels import BlockLabels
from v8ops.production.block_models import BlockModels
from v8ops.production.emission import Answer, emit
from v8ops.production.judging import alarm_words, judged_bars
from v8ops.production.keeper import Keeper, Member
from v8ops.production.log_rows import Failure, LogBlock
from v8ops.production.recent import Recent
from v8ops.production.routing import to_candidate

PREVIOUS = "previous"


@dataclass
class BlockRun:
    """The work on one block.

    Attributes
    ----------
    models : BlockModels
        What the versions say of the block.
    labels : BlockLabels
        Settles labels.
    recent : Recent
        The last rows of every version.
    late_before : float
        Bars that opened before this time are too old to act on.
    block : LogBlock
        What comes of it, for the log.
    """

    models: BlockModels
    labels: BlockLabels
    recent: Recent
    late_before: float
    block: LogBlock
    _reasons: dict[int, list[str]] = field(default_factory=dict)  # said beforehand, per row

    @property
    def keeper(self) -> Keeper:
        """What knows which versions are in use."""
        return self.models.keeper

    def run(self) -> None:
        """Go through the block, from its first bar to its last."""
        judged = judged_bars(self.models.epoch_s, self.models.interval_s)
        start = 0
        while start < self.models.n:
            start = self._piece(start, judged)

    def _piece(self, start: int, judged: NDArray[np.int64]) -> int:
        """Work on a piece that begins at row `start`, and return where the next one begins."""
        members = self.keeper.lineup(self.models.symbol)
        scoring = [m for m in members if m.role != PREVIOUS]
        faults = {m: self._fault(m, start, members) for m in scoring}
        for member, (row, words) in faults.items():
            if row == start:
                self._fail(member, row, words)
                return start
        ends = judged[judged >= start][:1] + 1
        stop = min([self.models.n, *ends.tolist(), *(row for row, _ in faults.values())])
        self._emit(start, stop, members)
        for member in members:
            self._keep(member, start, stop)
        before = len(self.models.bars.close) - self.models.n
        self.block.outcomes += self.labels.settle(self.models.bars.at(slice(None, before + stop)))
        if stop in ends:
            self._judge(scoring, stop - 1)
        return stop

    def _fault(self, member: Member, start: int, members: list[Member]) -> tuple[int, str]:
        """Return the row at which a version is to be taken back, or one behind the block."""
        nowhere = self.models.n, ""
        gone = self.models.unloadable(member.version)
        if gone:
            # With nothing to go back to, a folder that comes back should be enough to go on. And
            # with rollout.json out of reach, it is the models folder that is missing.
            latches = len(members) > 1 and not self.keeper.trouble
            return (start, gone) if latches else nowhere
        if self.models.wrong_bars(member.version):
            return nowhere
        fault = self.models.scored(member.version).fault
        return nowhere if fault is None else (max(fault[0], start), fault[1])

    def _fail(self, member: Member, row: int, words: str) -> None:
        """Take a version back at a row, which then goes to the next in line."""
        version, epoch_s = member.version, int(self.models.epoch_s[row])
        self.block.failures.append(Failure(version, epoch_s, words))
        self._reasons.setdefault(row, []).append(f"{member.role} {version} taken back: {words}")
        self._take_back(version, epoch_s, words)

    def _take_back(self, version: str, epoch_s: int, words: str) -> None:
        self.keeper.take_back(self.models.symbol, version, epoch_s=epoch_s, why=words)
        self.recent.restart(version)

    def _emit(self, start: int, stop: int, members: list[Member]) -> None:
        epochs = self.models.epoch_s[start:stop].tolist()
        for row, epoch_s in enumerate(epochs, start):
            answers, reasons = self._answers(row, epoch_s, members), self._reasons.get(row, [])
            if not answers:
                reasons = [*reasons, self._why_nobody(members)]
            late = epoch_s < self.late_before
            self.block.signals.append(
                emit(self.models.symbol, epoch_s, answers, reasons=reasons, late=late)
            )

    def _why_nobody(self, members: list[Member]) -> str:
        """Return why a bar is nobody's."""
        if members:  # a candidate alone has its share of the bars and no others
            return "there is no stable model, and the bar is not the candidate's"
        return self.keeper.why_none(self.models.symbol)

    def _answers(self, row: int, epoch_s: int, members: list[Member]) -> list[Answer]:
        """Return the answers of those in line for a bar, up to the first there is."""
        state, symbol = self.keeper.state(self.models.symbol), self.models.symbol
        out: list[Answer] = []
        for member in members:
            if member.role == "candidate" and not to_candidate(state, symbol, epoch_s):
                continue
            out.append(self.models.answer(member.role, member.version, row))
            if out[-1].probs is not None:
                break
        return out

    def _keep(self, member: Member, start: int, stop: int) -> None:
        """Keep what a version said in a piece; of the previous one, only if it was asked."""
        version = member.version
        emitted = self.block.signals[-(stop - start) :]
        if member.role == PREVIOUS and version not in [row.version for row in emitted]:
            return
        if self.models.unusable(version):
            return
        rows = self.models.scored(version).part(start, stop)
        if len(rows):
            self.block.scores.append((version, rows))
            self.recent.add(version, rows)

    def _judge(self, members: list[Member], row: int) -> None:
        """Look at the windows of the versions in use, and take back the ones that alarm."""
        epoch_s = int(self.models.epoch_s[row])
        for member in members:
            if self.models.unloadable(member.version):
                continue
            bundle = self.models.bundle(member.version)
            words = alarm_words(bundle, self.recent.rows(member.version))
            if words:
                self.keeper.notes.say(
                    "alarm",
                    f"{member.role} {member.version}: {words}",
                    symbol=self.models.symbol,
                    epoch_s=epoch_s,
                    version=member.version,
                )
                self._take_back(member.version, epoch_s, words)
