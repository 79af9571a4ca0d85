import re
import zipfile
from datetime import date, datetime
from pathlib import Path
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import odd_names
import polars as pl
import pytest
from bs4 import BeautifulSoup
from hypothesis import example, given
from hypothesis import strategies as st
from told_results import RESULTS, learners

import toolkit as tk
from toolkit.results.files import atomically, harmless

WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
ODD = ["=HYPERLINK(1)", "+1", "-1", "@x", "\tx", "\rx", "plain", "a & b_c"]


def odd_result() -> tk.Result:
    pc = learners(400)
    return tk.outcomes(pc.with_columns(course_id=pl.Series(ODD * 50)), by="course_id")


def test_a_csv_holds_the_released_figures_and_no_formula(tmp_path: Path) -> None:
    result = odd_result()
    written = pl.read_csv(result.to_csv(tmp_path / "out.csv"))
    assert written["n_enrolled"].to_list() == result.release().frame["n_enrolled"].to_list()
    assert not any(
        name.startswith(("=", "+", "-", "@", "\t", "\r")) for name in written["course_id"]
    )


def test_negative_numbers_stay_numbers(tmp_path: Path) -> None:
    found = tk.compare_groups(learners(), by="course_id").pairs
    written = pl.read_csv(found.to_csv(tmp_path / "pairs.csv"))
    assert written["difference"].dtype == pl.Float64


def test_a_folder_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    for form in ("csv", "parquet", "html", "latex"):
        with pytest.raises(tk.errors.ArgumentError, match=r"none.out cannot be written"):
            getattr(odd_result(), f"to_{form}")(tmp_path / "none" / "out")


@pytest.mark.parametrize("control", ["\x1b[31m", "\x00", "\x9b", "\u202e"])
def test_a_control_character_does_not_reach_a_terminal(control: str) -> None:
    frame = pl.DataFrame({f"a{control}": [f"b{control}=1"]})
    assert control[0] not in harmless(frame).write_csv()


def test_parquet_keeps_the_released_frame(tmp_path: Path) -> None:
    result = odd_result()
    assert pl.read_parquet(result.to_parquet(tmp_path / "x.parquet")).equals(result.release().frame)


def test_latex_is_a_table_of_booktabs_with_its_signs_escaped(tmp_path: Path) -> None:
    text = odd_result().captioned("50 % & more").to_latex(tmp_path / "t.tex", label="tab:x")
    assert r"\toprule" in text
    assert r"a \& b\_c" in text
    assert r"\caption{50 \% \& more}" in text
    assert (tmp_path / "t.tex").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", ["[0, 10)", "*", "[2024]*"])
def test_a_row_of_latex_does_not_begin_with_what_the_line_before_takes_for_an_option(
    name: str,
) -> None:
    frame = pl.DataFrame({"bin": [name, f"{name} again"], "n": [50, 60]})
    text = tk.result(frame, counts={"n": None}, groups=["bin"]).to_latex()
    assert not re.search(r"(\\\\|rule)\s*[\[*]", text)


SIGNS = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textbar{}": "|",
    r"\textasciigrave{}": "`",
    r"\quad ": "\u2003",
    r"$\chi$": "χ",
    "$-$": "−",
    "$<$": "<",
    "$>$": ">",
    "{[}": "[",
    "{*}": "*",
    "{}": "",
    "--": "–",
    **{f"\\{sign}": sign for sign in "&%$#_{}"},
}
TOKEN = re.compile(
    "|".join(map(re.escape, sorted(SIGNS, key=len, reverse=True))) + r"|[^\\&%$#_{}~^<>|`\[*]"
)


def typeset(latex: str) -> str:
    """Read a cell of LaTeX as LaTeX does; fails at a sign that means something else to it."""
    tokens = TOKEN.findall(latex)
    assert "".join(tokens) == latex
    assert not re.search("---|,,|''|!`|[?]`", latex)
    return "".join(SIGNS.get(token, token) for token in tokens)


@given(st.text() | st.text("-,'`|<>\\{}[]*_&%$#~^?! aχ−–"))
@example("–– -– –-")
@example("\n\nCS--101 a---b ,,x,, ``y''")
def test_latex_typesets_each_name_as_it_is_written(name: str) -> None:
    frame = pl.DataFrame({"name": [name], "n": [50]}, schema={"name": pl.String, "n": pl.Int64})
    result = tk.result(frame, counts={"n": None}, groups=["name"]).captioned(name)
    text = result.to_latex()
    ((shown, _),) = result.table().rows
    row = text.split("\\midrule\n")[1].split(" \\\\\n\\bottomrule")[0]
    assert typeset(row.rsplit(" & ", 1)[0]) == shown.replace("\u200e", "")
    if name:
        caption = text.split("\\caption{")[1].split("}\n\\begin{tabular}")[0]
        assert typeset(caption) == re.sub("[\r\n]", " ", name.replace("\u200e", ""))


@pytest.mark.parametrize("kind", odd_names.ODD)
def test_word_and_html_hold_the_cells_of_the_table(kind: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"name": [odd_names.ODD[kind]], "n": [50]})
    result = tk.result(frame, counts={"n": None}, groups=["name"])
    table = result.table()
    cells = [*table.headings, *table.rows[0]]
    with zipfile.ZipFile(result.to_word(tmp_path / "t.docx")) as file:
        document = ElementTree.fromstring(file.read("word/document.xml"))  # noqa: S314
    texts = ["".join(cell.itertext()).strip("\n") for cell in document.iter(f"{WORD}tc")]
    assert texts == cells
    page = BeautifulSoup(result.to_html(), "html.parser")
    assert [cell.get_text() for cell in page.find_all(["th", "td"])] == cells


def test_html_is_written_as_it_is_returned(tmp_path: Path) -> None:
    text = odd_result().to_html(tmp_path / "t.html")
    assert (tmp_path / "t.html").read_text(encoding="utf-8") == text
    assert text.startswith("<table>")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("old")

    def fail(part: Path) -> None:
        part.write_text("half")
        raise OSError("disk full")

    with pytest.raises(tk.errors.ArgumentError, match="cannot be written: disk full"):
        atomically(target, fail)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def workbook(result: tk.Result, path: Path) -> list[list[str | float]]:
    """The cells of a workbook that hold a text or a number."""
    pytest.importorskip("xlsxwriter")
    with zipfile.ZipFile(result.to_excel(path)) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
        texts = re.findall(r"<t[ >].*?</t>", parts.read("xl/sharedStrings.xml").decode())
    shared = [re.sub("<[^>]*>", "", text) for text in texts]
    cells = [
        re.findall(r'<c r="\w+"[^>]*?( t="s")?><v>(.*?)</v>', row)
        for row in re.findall(r"<row .*?</row>", sheet)
    ]
    return [[shared[int(v)] if is_text else float(v) for is_text, v in row] for row in cells]


@pytest.mark.parametrize("name", RESULTS)
def test_a_workbook_holds_the_released_figures(name: str, tmp_path: Path) -> None:
    result = RESULTS[name](learners())
    header, *rows = workbook(result, tmp_path / "x.xlsx")
    frame = result.release().frame
    assert header == frame.columns
    assert len(rows) == frame.height
    for shown, row in zip(rows, frame.select(pl.col(pl.Int64, pl.Float64)).rows(), strict=True):
        told = {float(f"{value:.6g}") for value in row if value is not None}
        assert told <= {float(f"{value:.6g}") for value in shown if isinstance(value, float)}


def test_a_workbook_takes_moments_and_headers_that_differ_in_case(tmp_path: Path) -> None:
    when = datetime(2024, 1, 1, 12, tzinfo=ZoneInfo("Asia/Tokyo"))
    frame = pl.DataFrame({"N": [when], "n": [50]})
    header, row = workbook(tk.result(frame, counts={"n": None}, groups=["N"]), tmp_path / "x.xlsx")
    assert header == ["N", "n (2)", "status"]
    assert row[:2] == [45292 + 3 / 24, 50]


@pytest.mark.parametrize(
    "name",
    [
        *("https://evil.example/", "mailto:x@example.com", "internal:Sheet1!A1", "file:///etc/a"),
        *("http://a.example/" + "a" * 3_000, "{=1+1}", "_x0041_", "y" * 40_000, "🎓" * 20_000),
    ],
)
def test_a_name_in_a_workbook_is_text_and_no_link(name: str, tmp_path: Path) -> None:
    frame = pl.DataFrame({"name": [name, "b"], "n": [50, 60]})
    result = tk.result(frame, counts={"n": None}, groups=["name"])
    path = result.to_excel(tmp_path / "x.xlsx")
    _, *rows = workbook(result, path)
    (shown,) = (str(row[0]) for row in rows if row[1] == 50)
    if len(name) > 10_000:
        assert shown == name[: len(shown) - 1] + "…"
        assert len(shown.encode("utf-16-le")) // 2 <= 32_767
    else:
        assert shown.replace("_x005F_", "_") == ("'" * name.startswith("{=") + name)
    with zipfile.ZipFile(path) as file:
        assert b"hyperlink" not in file.read("xl/worksheets/sheet1.xml")


@pytest.mark.parametrize(
    ("group", "shown"),
    [
        (date(1, 1, 1), "0001-01-01"),
        (date(1900, 2, 28), "1900-02-28"),
        (date(1900, 3, 1), 61.0),
        (datetime(1899, 12, 31, 6, tzinfo=ZoneInfo("UTC")), "1899-12-31 06:00:00.000000"),
        (2**53, float(2**53)),
        (2**53 + 1, str(2**53 + 1)),
    ],
)
def test_a_workbook_holds_as_text_what_excel_has_no_number_for(
    group: object, shown: str | float, tmp_path: Path
) -> None:
    frame = pl.DataFrame({"g": [group], "n": [50]})
    result = tk.result(frame, counts={"n": None}, groups=["g"])
    assert workbook(result, tmp_path / "x.xlsx")[1][:2] == [shown, 50]


def test_a_workbook_shows_a_year_as_a_year_and_a_count_with_its_thousands(tmp_path: Path) -> None:
    frame = pl.DataFrame({"year": [2024], "n": [5000]})
    path = tk.result(frame, counts={"n": None}, groups=["year"]).to_excel(tmp_path / "x.xlsx")
    with zipfile.ZipFile(path) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
        styles = ElementTree.fromstring(parts.read("xl/styles.xml"))  # noqa: S314
    used = dict(re.findall(r'<c r="([AB]2)" s="(\d+)"', sheet))
    formats = [cell.get("numFmtId") for cell in styles.find("{*}cellXfs") or ()]
    custom = {one.get("numFmtId"): one.get("formatCode") for one in styles.iterfind(".//{*}numFmt")}
    year, count = (formats[int(used[cell])] for cell in ("A2", "B2"))
    assert year == "1"  # Excel's own "0"
    assert "#,##0" in str(custom[count])
