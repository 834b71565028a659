"""Asking again: waits that grow, a number of tries, and then one line that says why."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from v8lib.errors import ParameterError, V8Error

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")
LONGEST_ORDER_S = 600.0  # an exchange that asks for more than this is left alone
WORTH_TELLING_S = 4.0
LINE_LETTERS = 240


class FeedError(V8Error):
    """An exchange or an archive did not give what was asked for."""


def missing_extra(package: str) -> ParameterError:
    """Return the error to raise when a package of the feeds extra is not installed."""
    return ParameterError(
        f"fetch needs the package '{package}': pip install 'v8-notebook-suite[feeds]'"
    )


def one_line(error: object) -> str:
    """Return an error's text as one line of bearable length."""
    text = " ".join(str(error).split())
    return text if len(text) <= LINE_LETTERS else text[: LINE_LETTERS - 4] + " ..."


@dataclass(frozen=True)
class Patience:
    """How often something is asked for, and how long the waits in between are.

    Attributes
    ----------
    tries : int
        In all.
    first_wait_s, longest_wait_s : float
        The wait before the second try, and the one at which doubling ends.
    sleep : callable
        Called with the seconds to wait.
    tell : callable
        Called with one line when a wait is long enough for a person to wonder.
    """

    tries: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    sleep: Callable[[float], None] = time.sleep
    tell: Callable[[str], None] = lambda line: None

    def ask(
        self,
        question: Callable[[], T],
        *,
        may_pass: Callable[[BaseException], bool],
        ordered_wait_s: Callable[[], float] = lambda: 0.0,
    ) -> T:
        """Return what `question` returns, asked again while its errors may pass.

        Parameters
        ----------
        question : callable
            Without arguments.
        may_pass : callable
            Whether an error is worth another try.
        ordered_wait_s : callable
            The wait that the other side asked for (its Retry-After header), 0 if none.

        Raises
        ------
        Exception
            The last one of `question`, when the tries are used up, when it will not pass, or
            when the other side wants to be left alone for longer than ten minutes.
        """
        try:
            from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential
        except ImportError:
            raise missing_extra("tenacity") from None
        backoff = wait_exponential(multiplier=self.first_wait_s, max=self.longest_wait_s)
        retrying = Retrying(
            stop=stop_after_attempt(self.tries),
            retry=retry_if_exception(
                lambda error: may_pass(error) and ordered_wait_s() <= LONGEST_ORDER_S
            ),
            wait=lambda state: max(backoff(state), ordered_wait_s()),
            before_sleep=self._tell_of_wait,
            sleep=self.sleep,
            reraise=True,
        )
        return retrying(question)

    def _tell_of_wait(self, state: "RetryCallState") -> None:
        wait = state.next_action.sleep
        if wait >= WORTH_TELLING_S:
            reason = one_line(state.outcome.exception())
            self.tell(
                f"next try ({state.attempt_number + 1} of {self.tries}) in {wait:.0f} s: {reason}"
            )


def retry_after_s(headers: object) -> float:
    """Return the wait that response headers ask for in seconds; 0 if they ask for none.

    A Retry-After that is a date instead of seconds counts as none: the growing waits do.
    """
    value = headers.get("Retry-After", "") if hasattr(headers, "get") else ""
    return float(value) if str(value).isdecimal() else 0.0
