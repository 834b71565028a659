"""Executed notebooks to pages: one self-contained file each, no network, no script."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup
from jinja2 import pass_context
from jinja2.runtime import Context
from nbconvert import HTMLExporter
from nbconvert.exporters.templateexporter import TemplateExporter
from nbconvert.filters import Highlight2HTML
from traitlets.config import Config

from v8lib.storage import read_json, write_bytes
from v8ops.page import RUN_INDEX, TEMPLATES, page_globals, templates
from v8ops.run.steps import COMPARE, SYMBOL_STEPS, Step

LEAD = "lead"  # tag of the cells a page opens with
LOCAL_SOURCE = re.compile(r"(\.ipynb|\.md)(#.*)?$")
EMPTY_CONTENTS = '<ol id="contents"></ol>'  # in the template, where the headings are to be listed
RAW_TABLE = 'class="dataframe"'  # what pandas makes of a table that a cell ends with


class PageExporter(HTMLExporter):
    """The HTML exporter without its own pass over the finished page.

    That pass parses the page, figures and all, to mark up what the suite's template does not
    have and to give figures the words that it does give. What a page of this suite needs is
    done to the few fragments that need it, as they are made.
    """

    def from_notebook_node(self, nb: Any, resources: Any = None, **kw: Any) -> tuple[str, Any]:
        """Return the page of a notebook, and what was used for it."""
        begun = {**(resources or {}), "headings": []}
        html, used = TemplateExporter.from_notebook_node(self, nb, begun, **kw)
        return html.replace(EMPTY_CONTENTS, contents(used["headings"]), 1), used

    def default_filters(self) -> Iterator[tuple[str, Any]]:
        """Yield the filters by name; code is always the notebooks' own language."""
        yield from super().default_filters()
        yield "highlight_code", lambda source, **_: highlighted(source)
        yield "with_scopes", with_scopes

    @pass_context
    def markdown2html(self, context: Context, source: str) -> str:
        """Return text as HTML; its headings join the page's contents."""
        html = HTMLExporter.markdown2html(self, context, source)
        return finish_text(html, context["resources"]["headings"])


@cache
def highlighted(source: str) -> str:
    """Return a cell's code as HTML; half of a page's time, and the same for every symbol.

    As Python: the notebooks have none of IPython's own commands, whose lexer is a third slower.
    """
    return Highlight2HTML(pygments_lexer="python3")(source)


@cache
def exporter() -> HTMLExporter:
    """Return the HTML exporter with the suite's own template, made once in a process."""
    config = Config()
    remove = config.TagRemovePreprocessor
    remove.enabled = True
    remove.remove_cell_tags = {"remove-cell", "parameters", "injected-parameters"}
    remove.remove_input_tags = {"remove-input"}
    remove.remove_all_outputs_tags = {"remove-output"}
    config.HTMLExporter.preprocessors = ["nbconvert.preprocessors.TagRemovePreprocessor"]
    made = PageExporter(
        config=config,
        template_name="v8report",
        extra_template_basedirs=[str(TEMPLATES)],
        embed_images=True,
        exclude_anchor_links=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        optimistic_validation=True,  # once, and not after each of thirteen preprocessors
    )
    # Kept out of jinja's own loader path: the page template is plain text with CSS inside.
    made.environment.globals |= page_globals()
    return made


def warm_up() -> None:
    """Render a page that nobody sees: forks of this process have templates and code ready."""
    cells = [nbformat.v4.new_markdown_cell("# A"), nbformat.v4.new_code_cell("a = 1")]
    exporter().from_notebook_node(
        nbformat.v4.new_notebook(cells=cells),
        resources={"title": "", "banner": "", "metadata": {"name": ""}},
    )
    templates().get_template(RUN_INDEX)
    for name in (*SYMBOL_STEPS, COMPARE):
        for cell in read_json(Step(name, {}).notebook)["cells"]:
            if cell["cell_type"] == "code":
                highlighted("".join(cell["source"]))


def render_page(notebook: Path, *, title: str, banner: str) -> Path:
    """Write the page of an executed notebook beside it and return its path.

    Parameters
    ----------
    notebook : path
        The executed notebook.
    title : str
        Title of the page.
    banner : str
        Where the bars came from; stands on top of every page.
    """
    content = nbformat.read(str(notebook), as_version=4)
    content.cells = lead_first(content.cells)
    html, _ = exporter().from_notebook_node(
        content, resources={"title": title, "banner": banner, "metadata": {"name": title}}
    )
    return write_bytes(notebook.with_suffix(".html"), html.encode())


def lead_first(cells: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Return the cells with those tagged `lead` right behind the title, else in order."""
    tagged = [c for c in cells if LEAD in c.metadata.get("tags", [])]
    others = [c for c in cells if LEAD not in c.metadata.get("tags", [])]
    title = next((k for k, c in enumerate(others) if c.cell_type == "markdown"), 0) + 1
    return [*others[:title], *tagged, *others[title:]] if tagged else list(cells)


def finish_text(html: str, headings: list[str]) -> str:
    """Return the HTML of a text cell with heading ids, and no link that leads nowhere.

    Parameters
    ----------
    html : str
        What was made of the cell.
    headings : list of str
        The page's headings so far; those found are appended.
    """
    soup = BeautifulSoup(html, "html.parser")
    for heading in soup.find_all("h2"):
        headings.append(heading.get_text())
        heading["id"] = f"s{len(headings)}"
    for link in soup.find_all("a", href=LOCAL_SOURCE):
        link.unwrap()  # notebooks and documents are not part of the report
    return str(soup)


def with_scopes(html: str) -> str:
    """Return the HTML that a cell has shown; header cells of a raw table tell what they head."""
    if RAW_TABLE not in html:
        return html  # the suite's own tables say so themselves
    soup = BeautifulSoup(html, "html.parser")
    for cell in soup.find_all("th"):
        if cell.find_parent("table", class_="dataframe"):
            cell["scope"] = "col" if cell.find_parent("thead") else "row"
    return str(soup)


def contents(headings: Sequence[str]) -> str:
    """Return the list of links to a page's headings."""
    items = (f'<li><a href="#s{n}">{escape(text)}</a></li>' for n, text in enumerate(headings, 1))
    return f'<ol id="contents">{"".join(items)}</ol>'
