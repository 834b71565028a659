import ast
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from v8lib.storage import read_json
from v8ops.run import pages, render
from v8ops.run.steps import NOTEBOOKS

PIXEL = "iVBORw0KGgo="
TEXT = """# A title

## First & <i>foremost</i>

See [the net](02_train.ipynb), [the guide](../docs/guide.md#part) and [a paper](https://a.org/b.md?x).

## Second
"""


def shown(html, **metadata):
    return new_output("display_data", data={"text/html": html}, metadata=metadata)


@pytest.fixture
def make_page(tmp_path):
    def make(*cells):
        path = tmp_path / "05_compare_symbols.ipynb"
        nbformat.write(new_notebook(cells=list(cells)), path)
        page = render.render_page(path, title="T", banner="B")
        return BeautifulSoup(page.read_text("utf-8"), "html.parser")

    return make


def test_contents_lead_to_every_heading_in_order(make_page):
    page = make_page(new_markdown_cell(TEXT), new_markdown_cell("## Third"))
    headings = page.main.find_all("h2")
    assert [h["id"] for h in headings] == ["s1", "s2", "s3"]
    links = page.find(id="contents").find_all("a")
    assert [a["href"] for a in links] == ["#s1", "#s2", "#s3"]
    assert [a.get_text() for a in links] == ["First & foremost", "Second", "Third"]
    assert [h.get_text() for h in headings] == [a.get_text() for a in links]


def test_the_next_page_begins_its_headings_anew(make_page):
    for _ in range(2):
        page = make_page(new_markdown_cell("## Only"))
        assert [a["href"] for a in page.find(id="contents").find_all("a")] == ["#s1"]


def test_contents_are_empty_where_there_is_no_heading(make_page):
    assert make_page(new_markdown_cell("# A")).find(id="contents").find_all() == []


def test_links_to_notebooks_and_documents_become_text_and_others_stay(make_page):
    main = make_page(new_markdown_cell(TEXT)).main
    assert [a["href"] for a in main.find_all("a")] == ["https://a.org/b.md?x"]
    assert "See the net, the guide and a paper." in main.get_text()


def test_header_cells_of_a_raw_table_tell_what_they_head(make_page):
    table = pd.DataFrame({"a": [1], "b": [2]}, index=["row"])
    main = make_page(new_code_cell("t", outputs=[shown(table.to_html())])).main
    scopes = {th.get_text(): th["scope"] for th in main.find_all("th")}
    assert scopes == {"": "col", "a": "col", "b": "col", "row": "row"}


def test_what_is_no_raw_table_is_shown_as_it_is(make_page):
    html = '<table class="v8-table"><tbody><tr><th>x</th></tr></tbody></table>'
    main = make_page(new_code_cell("t", outputs=[shown(html)])).main
    assert html in str(main)


def test_code_that_looks_like_markup_stays_code(make_page):
    code = '"<h2>no heading</h2>", "<a href=\'x.ipynb\'>no link</a>"'
    page = make_page(new_code_cell(code))
    assert page.find(id="contents").find_all("a") == []
    assert page.main.pre.get_text().strip() == code


def test_a_figure_has_its_words(make_page):
    metadata = {"image/png": {"alt": 'a "b" > c'}}
    output = new_output("display_data", data={"image/png": PIXEL}, metadata=metadata)
    image = make_page(new_code_cell("f", outputs=[output])).main.img
    assert image["alt"] == 'a "b" > c'


def test_the_index_takes_what_was_compared_without_title_and_code(make_page, tmp_path: Path):
    cells = [new_markdown_cell("# Title"), new_code_cell("c", outputs=[shown("<p>found</p>")])]
    make_page(*cells, new_markdown_cell("## Gates"))
    found = pages.comparison_fragments(tmp_path)
    assert len(found) == 2
    assert "found" in found[0]
    assert "Gates" in found[1]
    assert not any(word in "".join(found) for word in ("Title", "<details"))


def test_code_of_the_notebooks_is_ready_after_warming_up():
    render.highlighted.cache_clear()
    render.warm_up()
    known = render.highlighted.cache_info().misses
    cells = read_json(NOTEBOOKS / "04_diagnose.ipynb")["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(sources) > 20
    assert all("highlight" in render.highlighted(source) for source in sources)
    assert render.highlighted.cache_info().misses == known


@pytest.mark.parametrize("notebook", sorted(NOTEBOOKS.glob("0*.ipynb")), ids=lambda p: p.stem)
def test_code_is_python_without_commands_of_ipython_as_it_is_shown(notebook):
    cells = nbformat.read(notebook, as_version=4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    for source in sources:
        ast.parse(source)
        assert 'class="err"' not in render.highlighted(source)
        words = BeautifulSoup(render.highlighted(source), "html.parser").get_text()
        assert words.strip() == source.strip()
