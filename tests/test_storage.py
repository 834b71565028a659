import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from v8lib import storage
from v8lib.errors import StoreError

arrays = st.dictionaries(
    st.text("abcdefgh._0123456789", min_size=1, max_size=12),
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int64]),
        hnp.array_shapes(min_dims=0, max_dims=3, max_side=4),
    ),
    max_size=4,
)


def test_bytes_are_written_as_they_are_and_nothing_is_left_beside_them(tmp_path):
    path = storage.write_bytes(tmp_path / "new" / "file.bin", b"\x00\x01")
    assert path.read_bytes() == b"\x00\x01"
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = storage.write_bytes(tmp_path / "file.bin", b"old")

    def full_disk(_):
        raise OSError("no space left")

    monkeypatch.setattr(storage.os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        storage.write_bytes(path, b"new content")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.bin"]


def test_the_name_is_taken_only_after_the_content_is_on_disk(tmp_path, monkeypatch):
    path, seen = tmp_path / "file.bin", []
    monkeypatch.setattr(storage.os, "fsync", lambda _: seen.append(path.exists()))
    storage.write_bytes(path, b"content")
    assert seen == [False]


def test_json_survives_the_round_trip_to_the_last_bit(tmp_path):
    content = {"a": [0.1, 1 / 3, 1e-300], "b": None, "c": "Prado \u00e9", "d": {"e": True}}
    path = storage.write_json(tmp_path / "x.json", content)
    assert storage.read_json(path) == content
    assert path.read_text(encoding="utf-8").endswith("}\n")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_refuses_what_is_no_number(tmp_path, value):
    with pytest.raises(ValueError, match="JSON compliant"):
        storage.write_json(tmp_path / "x.json", {"a": value})
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"{'a': 1}", b"\xff\xfe"])
def test_a_file_that_is_no_json_is_refused_by_name(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"x\.json is not JSON"):
        storage.read_json(tmp_path / "x.json")


def test_missing_files_are_refused_by_name(tmp_path):
    with pytest.raises(StoreError, match=r"x\.json does not exist"):
        storage.read_json(tmp_path / "x.json")
    with pytest.raises(StoreError, match=r"x\.safetensors does not exist"):
        storage.read_arrays(tmp_path / "x.safetensors")


@given(content=arrays)
def test_arrays_keep_name_shape_type_and_bits(tmp_path_factory, content):
    path = storage.write_arrays(tmp_path_factory.mktemp("arrays") / "x.safetensors", content)
    back = storage.read_arrays(path)
    assert set(back) == set(content)
    for name, array in content.items():
        assert back[name].shape == array.shape
        assert back[name].dtype == array.dtype
        assert back[name].tobytes() == array.tobytes()


def test_arrays_in_any_memory_order_keep_their_values(tmp_path):
    array = np.arange(12.0).reshape(3, 4)
    content = {"turned": array.T, "every_other": array[:, ::2]}
    back = storage.read_arrays(storage.write_arrays(tmp_path / "x.safetensors", content))
    np.testing.assert_array_equal(back["turned"], array.T)
    np.testing.assert_array_equal(back["every_other"], array[:, ::2])


def test_the_same_arrays_give_the_same_bytes():
    content = {"b": np.arange(3.0), "a": np.eye(2)}
    again = {"a": np.eye(2), "b": np.arange(3.0)}
    assert storage.arrays_bytes(content) == storage.arrays_bytes(again)


def test_arrays_cut_short_at_any_length_are_refused(tmp_path):
    whole = storage.arrays_bytes({"a": np.arange(5.0), "b": np.arange(4)})
    path = tmp_path / "x.safetensors"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(StoreError, match=r"x\.safetensors is not a whole safetensors file"):
            storage.read_arrays(path)


def test_hashes_are_sha256(tmp_path):
    content = json.dumps(list(range(50_000))).encode()
    (tmp_path / "x").write_bytes(content)
    expected = hashlib.sha256(content).hexdigest()
    assert storage.sha256_bytes(content) == storage.sha256_file(tmp_path / "x") == expected


def test_release_leaves_an_array_that_is_in_no_file_as_it_is():
    array = np.arange(5.0)
    storage.release(array)
    storage.release(array[1:])
    np.testing.assert_array_equal(array, np.arange(5.0))


def test_an_array_of_objects_is_neither_written_nor_read(tmp_path):
    path = tmp_path / "a.npy"
    with pytest.raises(ValueError, match="pickle"):
        storage.write_array(path, np.array([object()]))
    assert list(tmp_path.iterdir()) == []
    np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(StoreError, match=r"a\.npy is not a whole npy file"):
        storage.map_array(path)
