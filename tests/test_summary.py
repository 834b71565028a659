import pytest
from jsonschema import Draft202012Validator, ValidationError

from v8lib.storage import read_json
from v8ops.run.summary import SCHEMA, check_summary


def test_the_schema_of_a_summary_is_a_schema_itself():
    schema = read_json(SCHEMA)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)


def test_a_summary_that_promises_something_else_is_named():
    failed = {"status": "failed", "error": "no bars", "seconds": {}}
    summary = {
        "run_id": "r",
        "created": "2026-01-01T00:00:00+00:00",
        "git_commit": None,
        "profile": "smoke",
        "exit_status": 1,
        "symbols": {"BTC": failed},
    }
    check_summary(summary)
    with pytest.raises(ValidationError, match="error"):
        check_summary(summary | {"symbols": {"BTC": failed | {"error": None}}})
    with pytest.raises(ValidationError, match="exit_status"):
        check_summary({name: v for name, v in summary.items() if name != "exit_status"})
