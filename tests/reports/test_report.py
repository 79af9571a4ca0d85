"""Executing notebooks and writing the report, on notebooks made for the test."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import DisclosureError
from toolkit.reports.execution import Executed, count_code_cells, execute_notebooks
from toolkit.reports.figures import chart_script, read_figure, write_figure
from toolkit.reports.guard import (
    _CUT,
    Identities,
    Records,
    _words,
    is_protected,
    refuse_bare,
    refuse_identities,
)
from toolkit.reports.pages import read_page
from toolkit.schemas import TIMESTAMP

SPEC = {
    "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
    "title": {"text": ["B has", "more"], "subtitle": "n = 30"},
    "description": "A 10, B 20 </script>",
    "data": {"name": "d"},
    "datasets": {"d": [{"course": "A", "n": 10}, {"course": "B", "n": 20}]},
    "mark": "bar",
    "encoding": {"x": {"field": "n", "type": "quantitative"}, "y": {"field": "course"}},
    "usermeta": {"embedOptions": {}},
}


def write_notebook(folder: Path, name: str, *cells: str) -> Path:
    """A notebook file; a cell that begins with # and a space is Markdown."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    for cell in cells:
        new = nbformat.v4.new_markdown_cell if cell[:2] == "# " else nbformat.v4.new_code_cell
        notebook.cells.append(new(cell))
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


def executed(*outputs: dict[str, object], source: str = "1") -> Executed:
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_markdown_cell("# Who passes?\n\nIt *depends*, see [this](x.html).\n\nMore"),
        nbformat.v4.new_code_cell(source, outputs=[nbformat.from_dict(o) for o in outputs]),
    ]
    return Executed("02-cohorts", notebook, 1.5)


def shown(**data: object) -> dict[str, object]:
    mimes = {name.replace("_", "/"): value for name, value in data.items()}
    return {"output_type": "display_data", "metadata": {}, "data": mimes}


def test_a_page_offers_its_notebook_without_what_it_showed() -> None:
    done = executed(shown(text_plain="'secret'"), source="tk.outcomes(study)")
    notebook = nbformat.reads(read_page(done).notebook, as_version=4)

    assert [cell.source for cell in notebook.cells] == [c.source for c in done.notebook.cells]
    assert "secret" not in nbformat.writes(notebook)
    assert done.notebook.cells[1].outputs  # the page's own are still there


def test_notebooks_run_in_kernels_and_empty_folders_of_their_own(tmp_path: Path) -> None:
    first = write_notebook(tmp_path, "01-a", "import os\nx = os.environ['GREETING']\nos.listdir()")
    second = write_notebook(tmp_path, "02-b", "# Who?", "assert 'x' not in globals()")
    before = first.read_bytes()
    told: list[str] = []
    done = execute_notebooks(
        [first, second], environment={"GREETING": "hello"}, on_cell=told.append
    )
    assert [one.name for one in done] == ["01-a", "02-b"]
    assert done[0].notebook.cells[0].outputs[0].data["text/plain"] == "[]"
    assert sorted(told) == ["01-a", "02-b"]
    assert count_code_cells([first, second]) == 2
    assert first.read_bytes() == before


def test_every_failing_cell_is_named_with_its_notebook(tmp_path: Path) -> None:
    good = write_notebook(tmp_path, "01-good", "1")
    bad = write_notebook(tmp_path, "02-bad", "# Why?", "1", "assert 1 == 2, 'sums differ'")
    done = execute_notebooks([good, bad])
    assert [one.failure for one in done] == [
        None,
        "02-bad.ipynb, cell 3 (assert 1 == 2, 'sums differ'): AssertionError: sums differ",
    ]
    assert all("outputs" not in cell for cell in done[1].notebook.cells)


def test_a_page_takes_question_and_summary_from_the_first_cell() -> None:
    page = read_page(executed())
    assert (page.title, page.summary) == ("Who passes?", "It depends, see this.")
    assert (page.name, page.label, page.seconds) == ("02-cohorts", "Cohorts", 1.5)
    assert [part.kind for part in page.parts] == ["prose", "code"]


def test_a_page_shows_each_kind_of_output() -> None:
    mime = "application_vnd.vegalite.v5+json"
    page = read_page(
        executed(
            {"output_type": "stream", "name": "stdout", "text": "\x1b[31mred\x1b[0m\n"},
            shown(**{mime: SPEC, "text_plain": "x"}),
            shown(text_markdown="A **finding**.<meta http-equiv=refresh><style>p{}</style>"),
            shown(
                text_html='<table border="1"><tr><td>&quot;A&quot;</td><td>null</td></tr></table>'
            ),
            shown(text_plain="42"),
        )
    )
    kinds = [part.kind for part in page.parts]
    assert kinds == ["prose", "code", "text", "figure", "prose", "table", "text"]
    assert page.parts[2].html == "red"
    assert "<strong>finding</strong>" in page.parts[4].html
    assert not any(tag in page.parts[4].html for tag in ("<meta", "<style"))
    assert page.parts[5].html == "<table><tbody><tr><td>A</td><td>–</td></tr></tbody></table>"
    assert [figure.name for figure in page.figures] == ["02-cohorts-1"]


def test_headings_can_be_linked_and_name_the_tables_below_them() -> None:
    notebook = nbformat.v4.new_notebook()
    table = nbformat.from_dict(shown(text_html="<table><tr><td>x</td></tr></table>"))
    notebook.cells = [
        nbformat.v4.new_markdown_cell("# Who?\n\nWhy."),
        nbformat.v4.new_markdown_cell("## Über *all* & more"),
        nbformat.v4.new_code_cell("1", outputs=[table]),
        nbformat.v4.new_markdown_cell("## Über all more"),
        nbformat.v4.new_markdown_cell("## For authors", metadata={"tags": ["author"]}),
    ]
    page = read_page(Executed("01-a", notebook, 1.0))
    assert page.contents == [
        ("über-all-more", "Über all &amp; more"),
        ("über-all-more-2", "Über all more"),
    ]
    [part] = [part for part in page.parts if part.kind == "table"]
    assert part.label == "Über all & more"
    assert '<caption class="heard">Über all &amp; more</caption>' in part.html


def test_a_chart_with_nothing_to_show_gives_way_to_its_title() -> None:
    mime = "application_vnd.vegalite.v5+json"
    empty = {**SPEC, "title": "Passed: too few learners to show"}
    page = read_page(executed(shown(**{mime: empty}), shown(**{mime: SPEC})))
    assert [part.kind for part in page.parts[2:]] == ["note", "figure"]
    assert page.parts[2].html == "Passed: too few learners to show."


def test_a_figure_cannot_break_out_of_its_script() -> None:
    figure = read_figure("f", SPEC)
    assert "</script>" not in figure.json
    assert json.loads(figure.json)["description"] == SPEC["description"]


def test_a_figure_is_written_as_svg_png_and_csv(tmp_path: Path) -> None:
    figure = read_figure("f", SPEC)
    assert figure.title == "B has more"
    write_figure(figure, tmp_path)
    assert (tmp_path / "f.svg").read_text().startswith("<svg")
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "f.csv").read_text() == "course,n\nA,10\nB,20\n"


@pytest.mark.parametrize("control", ["\x00", "\x1b[31m", "\x9b", "\u202e", "\uffff"])
def test_a_control_character_in_a_name_does_not_stop_the_drawing(
    control: str, tmp_path: Path
) -> None:
    name = f"a{control}b"
    spec = {
        "title": name,
        "datasets": {"d": [{"mode": name, "n": 15}, {"mode": "c", "n": 20}]},
        "data": {"name": "d"},
        "mark": "bar",
        "encoding": {"x": {"field": "n"}, "y": {"field": "mode"}},
    }
    figure = read_figure("one", spec)
    write_figure(figure, tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv", ".png", ".svg"]
    for text in (figure.title, figure.json, (tmp_path / "one.svg").read_text("utf-8")):
        assert control[0] not in text


def test_the_chart_script_is_whole() -> None:
    script = chart_script()
    assert "window.vegaEmbed" in script
    assert len(script) > 500_000


TIMES = pl.DataFrame(
    {
        "course_id": ["course-v1:Org+CS101+2024", "course-v1:Org+CS102+2024"],
        "created": [
            datetime(2024, 3, 9, 20, 15, 31, tzinfo=UTC),
            datetime(2024, 4, 1, 0, 0, 30, tzinfo=UTC),
        ],
        "passed_timestamp": [datetime(2024, 5, 1, 7, 0, tzinfo=UTC), None],
        "percent_grade": [0.83, 0.9],
        "as_of": [datetime(2024, 6, 1, 6, 30, tzinfo=UTC)] * 2,
    },
    schema_overrides=dict.fromkeys(["created", "passed_timestamp", "as_of"], TIMESTAMP),
)
WHO = Identities(
    ["ada_01", "ada@example.com", "margarethe_the_great", "Zoë"],
    ["s3cret-token-of-a-platform", "0d1c2b3a49586776"],
)


def judge(output: dict[str, object], source: str = "1") -> None:
    refuse_identities([executed(output, source=source)], identities=WHO, records=Records(TIMES))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("passed by ada_01.", "names a learner"),
        ("<td>ada@example.com</td>", "names a learner"),
        ("ADA_01", "names a learner"),
        ("Ada@Example.COM", "names a learner"),
        ("zoë", "names a learner"),
        ("│ marga… │", "names a learner"),
        ("marga...", "names a learner"),
        ("margarethe_the", "names a learner"),
        ("Bearer s3cret-token-of-a-platform", "holds the token or a key"),
        ("S3CRET-TOKEN-OF", "holds the token or a key"),
        ("{'SO2_PSEUDONYM_KEY': '0d1c2b3a49586776'}", "holds the token or a key"),
        ("│ 2024-03-09 20:15:31 UTC │", "shows a learner's record"),
        ('{"created": "2024-05-01T07:00:00"}', "shows a learner's record"),
        ("<td>course-v1:Org+CS101+2024</td><td>2024-03-09</td><td>0.83</td>", "shows a learner's"),
    ],
)
@pytest.mark.parametrize("mime", ["text_plain", "text_html"])
def test_an_output_with_an_identity_a_record_or_a_secret_is_refused(
    mime: str, text: str, reason: str
) -> None:
    with pytest.raises(DisclosureError, match=reason) as caught:
        judge(shown(**{mime: text}))
    for told in ("ada", "marga", "s3cret", "0d1c", "2024-"):
        assert told not in str(caught.value).lower()


@pytest.mark.parametrize(
    "text",
    [
        "as of 2024-06-01 06:30 UTC",
        "2024-04-01 00:00:00",
        "margin and marginal",
        "course-v1:Org+CS101+2024: pass rate 0.83",
        "<tr><td>course-v1:Org+CS101+2024</td></tr><tr><td>2024-03-09</td><td>0.83</td></tr>",
        "<td>course-v1:Org+CS102+2024</td><td>2024-04-01</td><td>0.9</td>",
    ],
)
def test_an_output_of_counts_dates_and_shares_is_taken(text: str) -> None:
    judge(shown(text_plain=text))


def test_a_word_that_begins_many_names_is_none() -> None:
    many = Identities(f"learner_{number:03}" for number in range(200))
    assert many.named("learner_0 learner_01…") == set()
    assert many.named("learner_017 Learner_017") == {"learner_017", "Learner_017"}


def names_one(word: str, names: set[str], *, is_marked: bool) -> bool:
    """The rule for one word, as it is written down."""
    word, known = word.casefold(), {name.casefold() for name in names}
    begun = [name for name in known if name.startswith(word)]
    is_ordinary = len(word) < 6 or word.isalpha() or word.isnumeric()
    is_long = is_marked or any(3 * len(word) >= 2 * len(name) for name in sorted(begun)[:10])
    is_begun = 0 < len(begun) < 10 and is_long and (is_marked or not is_ordinary)
    return word in known or is_begun


NAMES = st.text(alphabet="aAßéZz01_.", min_size=1, max_size=9)


@given(st.sets(NAMES, max_size=40), st.lists(NAMES, max_size=6), st.booleans())
def test_a_name_is_found_by_the_rule_for_each_word(
    names: set[str], words: list[str], is_cut: bool
) -> None:
    text = " ".join(f"{word}…" if is_cut else word for word in [*words, *sorted(names)[:2]])
    told = {match[1] for match in _CUT.finditer(text)}
    right = {
        word
        for word in _words(text) | told
        if word and names_one(word, names, is_marked=word in told)
    }
    assert Identities(names).named(text) == right


def test_records_that_stay_in_files_are_found_there(tmp_path: Path) -> None:
    TIMES.write_parquet(tmp_path / "records.parquet")
    records = Records(pl.scan_parquet(tmp_path / "records.parquet"))
    seen = ["2024-03-09 20:15", "2024-06-01 06:30", "course-v1:Org+CS101+2024 2024-03-09 0.83"]
    assert records.shown([*seen, "2024-13-09 20:75", ""]) == [True, False, True, False, False]


def test_a_word_of_the_notebook_is_no_identity_even_if_a_learner_bears_it() -> None:
    judge(shown(text_plain="zoë"), source="# Zoë")


def test_what_a_failing_cell_says_names_nobody(tmp_path: Path) -> None:
    bad = write_notebook(tmp_path, "01-bad", "{}['ada_' + '01']")
    worse = write_notebook(
        tmp_path, "02-worse", "raise ValueError('s3cret-token-' + 'of-a-platform')"
    )
    first, second = execute_notebooks([bad, worse], withhold=WHO.without)
    assert "KeyError: '(withheld)'" in str(first.failure)
    assert "02-worse.ipynb, cell 1" in str(second.failure)
    assert "ada_01" not in str(first.failure)
    assert "s3cret-token-of" not in str(second.failure)


def test_a_kernel_gets_neither_token_nor_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SO2_TOKEN", "so2_token", "SO2_PSEUDONYM_KEY", "So2_Pseudonym_Key"):
        monkeypatch.setenv(name, "s3cret")
    path = write_notebook(
        tmp_path,
        "01-a",
        "import os\n[name for name, text in os.environ.items() if 's3cret' in text]",
    )
    [done] = execute_notebooks([path], environment={"SO2_TOKEN": "s3cret"})
    assert done.notebook.cells[0].outputs[0].data["text/plain"] == "[]"


def test_a_long_download_shows_no_progress_in_a_report(tmp_path: Path) -> None:
    path = write_notebook(
        tmp_path,
        "01-a",
        "import toolkit as tk\n"
        "from toolkit.loading import progress\n"
        "progress._SECONDS_BEFORE = 0.0\n"
        "with tk.sandbox(learners=50) as platform:\n"
        "    tk.load_grades(platform)",
    )
    [done] = execute_notebooks([path])
    assert done.failure is None
    assert done.notebook.cells[0].outputs == []


def test_parameters_reach_the_names_that_the_parameters_cell_assigns(tmp_path: Path) -> None:
    path = write_notebook(tmp_path, "01-a", "course = None  # one course", "print(course)")
    notebook = nbformat.read(path, 4)
    notebook.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, path)
    told: list[str] = []
    [done] = execute_notebooks(
        [path], parameters={"course": "A", "unknown": 1}, on_cell=told.append
    )
    assert done.notebook.cells[1].source == "course = 'A'"
    assert done.notebook.cells[2].outputs[0].text == "A\n"
    assert len(told) == count_code_cells([path])


RELEASED = {"metadata": {"so2": {"min_n": 10, "says": "Half of them <pass>."}}}


def test_a_sentence_of_a_result_is_the_answer_and_stays_text() -> None:
    page = read_page(executed(shown(text_plain="x") | RELEASED))
    assert page.answer == "Half of them <pass>."
    assert page.parts[-1].kind == "finding"


@pytest.mark.parametrize(
    "bare",
    [
        shown(text_plain="42"),
        shown(text_html="<td>7</td>"),
        shown(image_png="iVBOR"),
        shown(**{"application_vnd.vegalite.v5+json": SPEC}),
        {"output_type": "stream", "name": "stdout", "text": "3 passed"},
    ],
)
def test_figures_that_are_not_released_are_refused_with_the_cell(bare: dict[str, object]) -> None:
    with pytest.raises(DisclosureError, match=r"02-cohorts, cell 2: .*not released"):
        refuse_bare([executed(bare)])


def test_released_outputs_words_and_public_cells_pass() -> None:
    chart = {**SPEC, "usermeta": {"so2": {"min_n": 10}}}
    released = shown(**{"application_vnd.vegalite.v5+json": chart})
    refuse_bare([executed(shown(text_plain="42") | RELEASED, released, shown(text_plain="well"))])
    public = executed(shown(text_plain="42"))
    public.notebook.cells[1].metadata["tags"] = ["public"]
    refuse_bare([public])


def test_the_line_that_names_the_source_passes_and_what_is_printed_beside_it_does_not() -> None:
    told = "This reads THE SANDBOX, no platform is set: sandbox: 500 simulated learners\n"

    def printed(text: str) -> Executed:
        return executed({"output_type": "stream", "name": "stdout", "text": text})

    refuse_bare([printed(told)])
    with pytest.raises(DisclosureError, match="not released"):
        refuse_bare([printed(told + "7 passed\n")])


def test_a_page_with_exact_figures_is_told_from_a_protected_one() -> None:
    exact = shown(text_plain="42") | {"metadata": {"so2": {"min_n": None}}}
    assert is_protected(executed(shown(text_plain="42") | RELEASED))
    assert not is_protected(executed(exact))


def test_a_figure_s_table_cannot_run_as_a_formula(tmp_path: Path) -> None:
    rows = [{"course": "=1+1", "n": 10}]
    write_figure(read_figure("f", {**SPEC, "datasets": {"d": rows}}), tmp_path)
    assert (tmp_path / "f.csv").read_text() == "course,n\n'=1+1,10\n"
