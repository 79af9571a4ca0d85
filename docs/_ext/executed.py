"""The directive `run`: Python that is executed while the site is built, shown with what it says.

    ```{run}
    :hide:          # run it, show no code
    result = tk.outcomes(study)
    result
    ```

All blocks of a page share one namespace, in which `tk` is imported; they run in a temporary folder.
The last expression is shown as a notebook shows it: a chart as SVG with its description, what has
an HTML form as that, else its text. An exception stops the build, unless `:raises:` names it.
One process runs all pages, and pages need no JavaScript: that is why this stands in for myst-nb.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import html
import io
import os
import re
import tempfile
import warnings
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_SCRATCH = tempfile.TemporaryDirectory(prefix="so2-site-")
_STYLE = re.compile(r"<style.*?</style>", re.DOTALL)


class Run(SphinxDirective):
    """Execute the content, and show it with its output."""

    has_content = True
    option_spec = {  # noqa: RUF012  # docutils reads it so
        "hide": directives.flag,
        "raises": directives.unchanged,
    }

    def run(self) -> list[nodes.Node]:
        """Return the code block and its outputs."""
        code = "\n".join(self.content)
        found: list[nodes.Node] = []
        if "hide" not in self.options:
            block = nodes.literal_block(code, code, language="python")
            self.set_source_info(block)
            found.append(block)
        return found + self._outputs(code)

    def _outputs(self, code: str) -> list[nodes.Node]:
        namespace = self.env.temp_data.setdefault("so2_namespace", _fresh())
        expected = self.options.get("raises")
        printed = io.StringIO()
        where = f"{self.env.docname}, line {self.lineno}"
        try:
            with _in_scratch(), contextlib.redirect_stdout(printed):
                value = _execute(code, namespace, where)
        except Exception as error:
            if type(error).__name__ != expected:
                raise self.error(f"{where}: {type(error).__name__}: {error}") from error
            return [_text(f"{type(error).__name__}: {error}")]
        if expected:
            raise self.error(f"{where}: {expected} was not raised")
        outputs = [_text(printed.getvalue())] if printed.getvalue().strip() else []
        if value is not None:
            outputs.append(self._shown(value))
        return outputs

    def _shown(self, value: Any) -> nodes.Node:
        if hasattr(value, "to_dict") and type(value).__module__.startswith("altair"):
            return self._chart(value.to_dict())
        if hasattr(value, "_repr_html_"):
            text = _STYLE.sub("", str(value._repr_html_()))
            return nodes.raw(
                "", f'<div class="so2-output" tabindex="0">{text}</div>', format="html"
            )
        return _text(value if isinstance(value, str) else repr(value))

    def _chart(self, spec: dict[str, Any]) -> nodes.Node:
        """The chart as an SVG file of the site, its description as alternative text."""
        import vl_convert

        svg = vl_convert.vegalite_to_svg(spec, vl_version="6.4")
        name = f"{hashlib.sha256(svg.encode()).hexdigest()[:16]}.svg"
        folder = Path(self.env.app.outdir) / "_images"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(svg, encoding="utf-8")
        title = spec.get("title") or "Chart"
        title = title.get("text", "Chart") if isinstance(title, dict) else title
        said = " ".join(title) if isinstance(title, list) else str(title)
        told = html.escape(str(spec.get("description") or said), quote=True)
        depth = "../" * self.env.docname.count("/")
        return nodes.raw(
            "", f'<p class="so2-chart"><img src="{depth}_images/{name}" alt="{told}"></p>',
            format="html",
        )  # fmt: skip


def _fresh() -> dict[str, Any]:
    import polars as pl

    import toolkit as tk

    return {"tk": tk, "pl": pl, "__name__": "__main__"}


def _execute(code: str, namespace: dict[str, Any], where: str) -> Any:
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(tree, where, "exec"), namespace)  # noqa: S102
        if isinstance(last, ast.Expr):
            return eval(compile(ast.Expression(last.value), where, "eval"), namespace)  # noqa: S307
    return None


@contextlib.contextmanager
def _in_scratch() -> Any:
    here = Path.cwd()
    os.chdir(_SCRATCH.name)
    try:
        yield
    finally:
        os.chdir(here)


def _text(text: str) -> nodes.Node:
    block = nodes.literal_block(text, text.rstrip(), language="text")
    block["classes"].append("so2-output")
    return block


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("run", Run)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
