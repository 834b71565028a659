"""What every page is made with: the templates and their styles."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape
from pygments.formatters import HtmlFormatter

from v8lib.looks import stylesheet

TEMPLATES = Path(__file__).resolve().parent / "templates"
RUN_INDEX = "run_index.html.j2"


def page_globals() -> dict[str, str]:
    """Return what every page needs: its styles, for light and dark."""
    page = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    code = f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}"
    return {"page_css": f"{code}\n{stylesheet()}\n{page}"}


@cache
def templates() -> Environment:
    """Return the environment for pages that are not notebooks."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape(["html", "j2"])
    )
    environment.globals |= page_globals()
    return environment
