"""Executed notebooks to pages: one self-contained file each, no network, no script."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter
from nbconvert.exporters.templateexporter import TemplateExporter
from nbconvert.filters import Highlight2HTML
from traitlets.config import Config

from v8lib.storage import write_bytes
from v8ops.page import TEMPLATES, page_globals

LEAD = "lead"  # tag of the cells a page opens with
LOCAL_SOURCE = re.compile(r"(\.ipynb|\.md)(#.*)?$")


class PageExporter(HTMLExporter):
    """The HTML exporter without its own pass over the finished page.

    That pass parses the page, figures and all, to mark up what the suite's template does not
    have and to give figures the words that it does give: `finish` parses it anyway.
    """

    def from_notebook_node(self, nb: Any, resources: Any = None, **kw: Any) -> tuple[str, Any]:
        """Return the page of a notebook, and what was used for it."""
        return TemplateExporter.from_notebook_node(self, nb, resources, **kw)

    def default_filters(self) -> Iterator[tuple[str, Any]]:
        """Yield the filters by name; code is always the notebooks' own language."""
        yield from super().default_filters()
        yield "highlight_code", Highlight2HTML(pygments_lexer="ipython3", parent=self)


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
    )
    # Kept out of jinja's own loader path: the page template is plain text with CSS inside.
    made.environment.globals |= page_globals()
    return made


def warm_up() -> None:
    """Render a page that nobody sees, so that forks of this process have all templates ready."""
    cells = [nbformat.v4.new_markdown_cell("# A"), nbformat.v4.new_code_cell("a = 1")]
    html, _ = exporter().from_notebook_node(
        nbformat.v4.new_notebook(cells=cells),
        resources={"title": "", "banner": "", "metadata": {"name": ""}},
    )
    finish(html)


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
    return write_bytes(notebook.with_suffix(".html"), finish(html).encode())


def lead_first(cells: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Return the cells with those tagged `lead` right behind the title, else in order."""
    tagged = [c for c in cells if LEAD in c.metadata.get("tags", [])]
    others = [c for c in cells if LEAD not in c.metadata.get("tags", [])]
    title = next((k for k, c in enumerate(others) if c.cell_type == "markdown"), 0) + 1
    return [*others[:title], *tagged, *others[title:]] if tagged else list(cells)


def finish(html: str) -> str:
    """Return a page with contents, heading ids, scopes, and no link that leads nowhere."""
    soup = BeautifulSoup(html, "html.parser")
    contents = soup.find(id="contents")
    for n, heading in enumerate(soup.select("main h2")):
        heading["id"] = f"s{n + 1}"
        link = soup.new_tag("a", href=f"#s{n + 1}")
        link.string = heading.get_text()
        item = soup.new_tag("li")
        item.append(link)
        contents.append(item)
    for cell in soup.select("table.dataframe th"):
        cell["scope"] = "col" if cell.find_parent("thead") else "row"
    for link in soup.find_all("a", href=LOCAL_SOURCE):
        link.unwrap()  # notebooks and documents are not part of the report
    return str(soup)
