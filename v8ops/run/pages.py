"""The pages around the notebooks' own: the run's index, and the links between all of them."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from markupsafe import Markup, escape

from v8lib.provenance import package_versions
from v8lib.storage import write_bytes
from v8ops.page import RUN_INDEX, templates
from v8ops.run.steps import COMPARE, SYMBOL_STEPS
from v8ops.run.summary import failed_gates, open_questions

PAGES = re.compile(r"<!--v8-pages-->.*?<!--/v8-pages-->", re.DOTALL)
HEADLINES = {
    0: "Every symbol ran through and no gate failed.",
    1: "A step failed: see the symbols below.",
    3: "Every symbol ran through, and a gate failed: see the symbols below.",
}
BADGES = {"failed": ("failed", "FAILED"), "gates_failed": ("fail", "GATES FAILED")}


def write_index(
    run_dir: Path,
    summary: Mapping[str, Any],
    *,
    banner: str,
    parameters: Mapping[str, Mapping[str, Any]],
) -> Path:
    """Write `index.html` of a run, and the links on every page; return its path."""
    symbols = summary["symbols"]
    html = (
        templates()
        .get_template(RUN_INDEX)
        .render(
            summary=summary,
            banner=banner,
            headline=HEADLINES[summary["exit_status"]],
            badges={name: _badge(symbol) for name, symbol in symbols.items()},
            reasons={name: _reasons(symbol) for name, symbol in symbols.items()},
            links={name: _links(run_dir, name) for name in symbols},
            comparison=comparison_fragments(run_dir),
            provenance=_provenance(summary),
            parameters=parameters,
            parameter_names=list(next(iter(parameters.values()))),
        )
    )
    index = write_bytes(run_dir / "index.html", html.encode())
    link_pages(run_dir, list(symbols))
    return index


def comparison_fragments(run_dir: Path) -> list[Markup]:
    """Return what notebook 05 drew and wrote, as HTML fragments; nothing if it did not run."""
    page = run_dir / f"{COMPARE}.html"
    if not page.is_file():
        return []
    main = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").find("main")
    for part in [*main.find_all("details", class_="code"), *main.find_all("h1")]:
        part.decompose()
    cells = main.find_all(class_=["text_cell", "code"])[1:]  # without the title
    return [Markup(str(cell)) for cell in cells]


def link_pages(run_dir: Path, symbols: list[str]) -> None:
    """Give every page of the run links to every other that exists."""
    pages = [(run_dir / "index.html", "Run")]
    pages += [(run_dir / f"{COMPARE}.html", "Compare")]
    for symbol in symbols:
        pages += [(run_dir / symbol / f"{step}.html", f"{symbol} {step}") for step in SYMBOL_STEPS]
    pages = [(path, words) for path, words in pages if path.is_file()]
    for path, _ in pages:
        near = [p for p in pages if p[0].parent in (run_dir, path.parent) or _is_verdict(p[0])]
        links = " ".join(_link(path, target, words) for target, words in near)
        bar = f'<nav class="pages" aria-label="Pages of this run">{links}</nav>'
        block = f"<!--v8-pages-->{bar}<!--/v8-pages-->"
        html = PAGES.sub(lambda _match, block=block: block, path.read_text(encoding="utf-8"))
        write_bytes(path, html.encode())


def _is_verdict(path: Path) -> bool:
    return path.stem == SYMBOL_STEPS[-1]


def _link(page: Path, target: Path, words: str) -> str:
    here = ' aria-current="page"' if page == target else ""
    return f'<a href="{escape(os.path.relpath(target, page.parent))}"{here}>{escape(words)}</a>'


def _badge(symbol: Mapping[str, Any]) -> tuple[str, str]:
    if symbol["status"] in BADGES:
        return BADGES[symbol["status"]]
    if open_questions(symbol["gates"]):
        return "inconclusive", "INCONCLUSIVE"
    return "pass", "PASS"


def _reasons(symbol: Mapping[str, Any]) -> list[str]:
    gates = symbol.get("gates", {})
    words = [f"Failed: {', '.join(failed_gates(gates))}."] if failed_gates(gates) else []
    if open_questions(gates):
        words.append(f"Inconclusive: {', '.join(open_questions(gates))}.")
    return words


def _links(run_dir: Path, symbol: str) -> list[tuple[str, str]]:
    """Return (label, target) of a symbol's pages, and of the notebook that failed, if any."""
    folder = run_dir / symbol
    links = [
        (step, f"{symbol}/{step}.html")
        for step in reversed(SYMBOL_STEPS)
        if (folder / f"{step}.html").is_file()
    ]
    failed = sorted(folder.glob("*.failed.ipynb"))
    return links + [(f"{path.name} (as far as it got)", f"{symbol}/{path.name}") for path in failed]


def _provenance(summary: Mapping[str, Any]) -> dict[str, Any]:
    speed = {
        f"{name}, training rows per second": f"{symbol['train_rows_per_second']:,}"
        for name, symbol in summary["symbols"].items()
        if "train_rows_per_second" in symbol
    }
    return {
        "run": summary["run_id"],
        "made": summary["created"],
        "profile": summary["profile"],
        "git commit": summary["git_commit"] or "not in a checkout",
        **speed,
        **package_versions(),
    }
