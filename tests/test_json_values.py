"""Values out of JSON that somebody else may have written."""

import pytest

from v8lib.errors import BundleError
from v8lib.json_values import Values


@pytest.mark.parametrize(
    "found",
    [
        [1.0, float("nan")],
        [float("-inf"), 1.0],
        [1.0, 1e308],
        [10**400, 1.0],
        [1.0, True],
        [1.0, "2"],
        [1.0],
        1.0,
    ],
)
def test_what_is_not_so_many_finite_numbers_is_refused_by_name(found):
    with pytest.raises(BundleError, match="file: 'means' must be 2 finite numbers"):
        Values({"means": found}, "file").numbers("means", 2)


def test_whole_numbers_are_numbers_and_none_may_be_wanted():
    values = Values({"some": [1, 2.5], "none": []}, "file")
    assert values.numbers("some", 2).tolist() == [1.0, 2.5]
    assert values.numbers("none", 0).shape == (0,)
