import json

import jsonschema
import numpy as np
import pytest
import scrapbook

from v8lib import scraps


@pytest.fixture
def glued(monkeypatch):
    out = {}
    monkeypatch.setattr(scraps.scrapbook, "glue", lambda name, value: out.update({name: value}))
    return out


def test_numpy_values_become_plain_ones(glued):
    scraps.record(
        {
            "count": np.int64(3),
            "share": np.float32(0.5),
            "flag": np.bool_(True),
            "rows": np.array([[1, 2], [3, 4]]),
            "pair": (1.0, None),
            "nested": {"a": {"b": np.float64(2.0)}},
            "word": "pass",
        }
    )
    assert glued == {
        "count": 3,
        "share": 0.5,
        "flag": True,
        "rows": [[1, 2], [3, 4]],
        "pair": [1.0, None],
        "nested": {"a": {"b": 2.0}},
        "word": "pass",
    }
    assert type(glued["flag"]) is bool
    assert type(glued["count"]) is int
    json.dumps(glued, allow_nan=False)


def test_none_is_stored_in_a_form_scrapbook_has_a_word_for(glued):
    scraps.record({"temperature": None})
    assert glued == {"temperature": {"value": None}}


def test_floats_keep_eight_significant_digits():
    assert scraps.to_plain(1 / 3) == 0.33333333
    assert scraps.to_plain(123_456_789.5) == 123_456_790.0
    assert scraps.to_plain(1.23456789012e-12) == 1.2345679e-12
    assert scraps.to_plain(0.0) == 0.0


@pytest.mark.parametrize("value", [float("nan"), np.inf, -np.float32("inf")])
def test_what_is_no_number_is_refused_by_name(glued, value):
    with pytest.raises(ValueError, match=r"scrap 'test\.ece' is .*: record None"):
        scraps.record({"test": {"ece": value}})
    assert glued == {}


def test_what_is_no_json_is_refused_by_name_and_type():
    with pytest.raises(ValueError, match="scrap 'net' is a set"):
        scraps.to_plain({1}, "net")


def test_what_is_stored_is_checked_as_scrapbook_does(monkeypatch):
    scrap = scrapbook.scraps.Scrap("it", 1, "json")
    messages = []
    for check in (scraps.validate, jsonschema.validate):
        monkeypatch.setattr(scrapbook.scraps, "json_validate", check)
        with pytest.raises(scrapbook.exceptions.ScrapbookDataException) as error:
            scrapbook.scraps.scrap_to_payload(scrap._replace(name=3))
        messages.append(str(error.value))
        assert scrapbook.scraps.scrap_to_payload(scrap)["data"] == 1
    assert messages[0] == messages[1]


def test_scrapbook_uses_the_check_whose_schemas_are_sound():
    assert scrapbook.scraps.json_validate is scraps.validate
    assert scraps.VALIDATORS
    for validator in scraps.VALIDATORS.values():
        validator.check_schema(validator.schema)


def test_a_record_reaches_the_notebook_s_outputs_as_json(monkeypatch):
    displayed = []
    monkeypatch.setattr("scrapbook.utils.is_kernel", lambda: True)
    monkeypatch.setattr(
        "IPython.display.display", lambda data, metadata, raw: displayed.append(data)
    )
    scraps.record({"answer": np.int64(42), "missing": None})
    payloads = [json.loads(json.dumps(data)) for data in displayed]
    (answer,), (missing,) = (list(payload.values()) for payload in payloads)
    assert (answer["name"], answer["data"]) == ("answer", 42)
    assert (missing["name"], missing["data"]) == ("missing", {"value": None})
