import pytest

from v8ops.production import names
from v8ops.production.errors import ProductionError

BAD_SYMBOLS = ("", "btc", "../BTC", "BTC/..", "A" * 33, "BTC\n", "B C", "/BTC", "BTC\x00", ".")
BAD_VERSIONS = ("", "V8", "../v8", "v8/..", "v8..1", "/etc", "v" * 65, "v8\n", ".hidden", "v8 1")


@pytest.mark.parametrize("text", BAD_SYMBOLS)
def test_what_is_no_symbol_is_refused(text, tmp_path):
    with pytest.raises(ProductionError):
        names.bundle_folder(tmp_path, text, "v8-1")


@pytest.mark.parametrize("text", BAD_VERSIONS)
def test_what_is_no_version_is_refused(text, tmp_path):
    with pytest.raises(ProductionError):
        names.bundle_folder(tmp_path, "BTC", text)


def test_a_name_leads_to_its_folder(tmp_path):
    assert names.bundle_folder(tmp_path, "BTC", "v8-0a1b") == tmp_path / "BTC" / "v8-0a1b"


@pytest.mark.parametrize("place", ["BTC", "BTC/v8-1"])
def test_a_link_out_of_the_models_folder_is_refused(tmp_path, place):
    models, outside = tmp_path / "models", tmp_path / "outside"
    (outside / "v8-1").mkdir(parents=True)
    link = models / place
    link.parent.mkdir(parents=True)
    link.symlink_to(outside if place == "BTC" else outside / "v8-1")
    with pytest.raises(ProductionError, match="link"):
        names.bundle_folder(models, "BTC", "v8-1")


def test_a_models_folder_that_is_a_link_itself_will_do(tmp_path):
    (tmp_path / "real" / "BTC" / "v8-1").mkdir(parents=True)
    (tmp_path / "models").symlink_to(tmp_path / "real")
    assert names.bundle_folder(tmp_path / "models", "BTC", "v8-1").is_dir()
