import numpy as np
import pytest

from v8lib import seeds


def test_the_same_names_give_the_same_numbers():
    first, again = (seeds.stream(5, "BTC", "market").normal(size=4) for _ in range(2))
    assert first.tolist() == again.tolist()


@pytest.mark.parametrize(
    "other",
    [(6, "BTC", "rows", 1), (5, "ETH", "rows", 1), (5, "BTC", "x", 1), (5, "BTC", "rows", 2)],
)
def test_another_seed_name_or_number_gives_other_numbers(other):
    first = seeds.stream(5, "BTC", "rows", 1).normal(size=4)
    assert not np.isclose(first, seeds.stream(*other).normal(size=4)).any()


def test_streams_of_two_names_are_uncorrelated():
    a, b = (seeds.stream(5, "BTC", name).normal(size=20_000) for name in ("rows", "dropout"))
    # The correlation of independent draws has a standard error of 0.007.
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03


def test_drawing_from_one_stream_never_moves_another():
    alone = seeds.stream(5, "b").normal(size=3)
    seeds.stream(5, "a").normal(size=100)
    assert seeds.stream(5, "b").normal(size=3).tolist() == alone.tolist()


def test_torch_seed_is_an_integer_torch_accepts_and_differs_by_name():
    first = seeds.torch_seed(5, "BTC", "weights")
    assert isinstance(first, int)
    assert 0 <= first < 2**63
    assert first == seeds.torch_seed(5, "BTC", "weights")
    assert first != seeds.torch_seed(5, "BTC", "dropout")


def test_a_stream_is_the_same_on_every_machine():
    """CRC32, unlike hash(), does not change with the process; a change here changes results."""
    expected = np.random.default_rng([5, 3176990918]).integers(1000, size=3)
    assert seeds.stream(5, "BTC").integers(1000, size=3).tolist() == expected.tolist()
