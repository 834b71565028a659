import numpy as np
import pytest

from v8lib import checkpoint
from v8lib.errors import TrainingError

HISTORY = [{"epoch": 1, "train_loss": 1 / 3}, {"epoch": 2, "train_loss": 0.1}]


def state(value):
    return {"net.weight": np.full((2, 3), value, np.float32), "optimizer.0.step": np.array(value)}


def test_an_empty_folder_holds_no_training(tmp_path):
    assert checkpoint.read_checkpoint(tmp_path / "none", "f") is None


def test_the_state_comes_back_bit_for_bit(tmp_path):
    checkpoint.write_checkpoint(tmp_path, "f", state(0.1), HISTORY)
    found = checkpoint.read_checkpoint(tmp_path, "f")
    assert found.history == HISTORY
    for name, array in state(0.1).items():
        assert found.arrays[name].tobytes() == array.tobytes()
        assert found.arrays[name].dtype == array.dtype


def test_a_checkpoint_of_another_training_is_refused_with_what_to_do(tmp_path):
    checkpoint.write_checkpoint(tmp_path, "mine", state(0.1), HISTORY)
    with pytest.raises(TrainingError, match="other data, parameters or code: remove the folder"):
        checkpoint.read_checkpoint(tmp_path, "yours")


def test_only_the_newest_epoch_is_kept(tmp_path):
    checkpoint.write_checkpoint(tmp_path, "f", state(1.0), HISTORY[:1])
    checkpoint.write_checkpoint(tmp_path, "f", state(2.0), HISTORY)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint.json",
        "epoch_0002.safetensors",
    ]
    assert checkpoint.read_checkpoint(tmp_path, "f").arrays["net.weight"][0, 0] == 2.0


@pytest.mark.parametrize("killed_in", ["write_arrays", "write_json"])
def test_killed_while_writing_the_epoch_before_is_still_whole(tmp_path, monkeypatch, killed_in):
    checkpoint.write_checkpoint(tmp_path, "f", state(1.0), HISTORY[:1])

    def kill(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, killed_in, kill)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.write_checkpoint(tmp_path, "f", state(2.0), HISTORY)
    found = checkpoint.read_checkpoint(tmp_path, "f")
    assert found.history == HISTORY[:1]
    assert found.arrays["net.weight"][0, 0] == 1.0


def test_a_removed_checkpoint_leaves_no_folder(tmp_path):
    folder = tmp_path / "training"
    checkpoint.write_checkpoint(folder, "f", state(1.0), HISTORY)
    checkpoint.remove_checkpoint(folder)
    assert not folder.exists()
    checkpoint.remove_checkpoint(folder)  # removing what is gone is no error


def test_removing_a_checkpoint_leaves_what_is_not_its_own(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    checkpoint.write_checkpoint(tmp_path, "f", state(1.0), HISTORY)
    checkpoint.remove_checkpoint(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_the_checkpoints_of_a_walk_are_removed_together_and_nothing_else_is(tmp_path):
    (tmp_path / "fold_0_net_9").mkdir()
    (tmp_path / "fold_0_net_9" / "notes.txt").write_text("mine")
    for name in ("fold_0_net_0", "fold_0_net_1", "fold_11_net_0", "other"):
        checkpoint.write_checkpoint(tmp_path / name, "f", state(1.0), HISTORY)
    checkpoint.remove_checkpoints(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fold_0_net_9", "other"]
    assert checkpoint.read_checkpoint(tmp_path / "other", "f").history == HISTORY


def test_a_walk_without_leftovers_leaves_no_folder(tmp_path):
    folder = tmp_path / "training"
    checkpoint.write_checkpoint(folder / "fold_0_net_0", "f", state(1.0), HISTORY)
    checkpoint.remove_checkpoints(folder)
    assert not folder.exists()
    checkpoint.remove_checkpoints(folder)  # removing what is gone is no error
