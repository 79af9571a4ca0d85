"""The finished report, read as its readers have it: every number is true, and gives nobody away."""

from __future__ import annotations

import json
import os
import re
import shutil
import unicodedata
from collections import Counter
from datetime import timedelta
from pathlib import Path

import in_process
import numpy as np
import pytest
import vl_convert
from attack import attacked, without_alternative
from constraints import Constraints
from nights import SOURCES, made_once, nights, reports
from oracle import Oracle
from pdf import pdf_texts
from reading import soup, words
from recount import ALL, Truth, changes

import toolkit as tk
from toolkit.release.rounding import MIN_N
from toolkit.reports.pdf import find_chromium, write_pdf

pytestmark = pytest.mark.slow


N_NIGHTS = int(os.environ.get("SO2_NIGHTS", "6"))  # `make nights` takes 30


def made(among: pytest.TempPathFactory, source: str, oulad: Path | None = None) -> Path:
    """The folder with the reports of two nights; of many nights on 300 learners."""
    base = among.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    n = N_NIGHTS if source == "300" else 2
    return made_once(shared / f"nights-{source}", lambda empty: reports(empty, source, oulad, n))


@pytest.fixture(scope="module", params=SOURCES)
def top(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    oulad = request.getfixturevalue("oulad_dir") if request.param == "oulad" else None
    return made(tmp_path_factory, request.param, oulad)


@pytest.fixture(scope="module")
def smallest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory, "300")


def test_every_printed_number_is_placed_and_within_the_tolerance_of_the_rule(top: Path) -> None:
    """On every page, in charts, drawings, files, sentences and words for those who see no chart."""
    for night in nights(top):
        assert night.unread == []
        assert night.faults() == []
        assert len(night.cells) > 1_000
        assert len(night.shares) > 1_000
        assert len(night.points) > 200


def test_pages_of_the_sandbox_itself_say_the_same_on_each_page(tmp_path: Path) -> None:
    """Every page reads the platform on its own; the history is of snapshots that its page takes."""
    in_process.write_report(tmp_path / "report", SO2_SANDBOX_LEARNERS="300")
    with tk.sandbox(learners=300) as now:
        study = tk.load_study(now)
        later = tk.take_snapshot(now, tmp_path / "later", identities="keep")
        with now.earlier(study.as_of - timedelta(days=90)) as past:
            earlier = tk.take_snapshot(past, tmp_path / "earlier", identities="keep")
    truths = [Truth(study), Truth(tk.load_study(earlier))]
    found = Oracle(tmp_path / "report", *truths, changes(earlier, later))
    assert found.unread == []
    assert found.faults() == []


def test_of_45_learners_in_six_courses_a_report_prints_no_false_number(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Nearly every group is withheld, and what is said of one is not said of all."""
    folder = tmp_path_factory.mktemp("nights-45")
    reports(folder, "45", None)
    for night in nights(folder):
        assert night.unread == []
        assert night.faults() == []


def test_what_a_report_says_of_the_night_before_is_what_was_printed_then(top: Path) -> None:
    first, second = nights(top)[-2:]
    assert len(second.earlier) == 4
    printed = first.printed
    assert {cell.name: cell.value for cell in second.earlier} == {
        cell.name: printed[cell.name] for cell in second.earlier
    }


def test_every_curve_lies_within_the_interval_of_the_exact_one(top: Path) -> None:
    for night in nights(top):
        for point in night.points:
            curve = night.truth.curve(point.course, point.cohort)
            n, exact = curve.at_risk(point.time), curve.passed(point.time)
            if n >= MIN_N and exact > 0:
                low, high = curve.interval(point.time)
                assert abs(point.value - exact) <= 15 / n, point
                assert low - 1e-4 <= point.value <= high + 1e-4, (point, low, high)


def test_a_heat_map_shows_the_share_in_most_cells_with_ten_members(top: Path) -> None:
    """In the others fewer than ten passed, and a bound is shown."""
    for night in nights(top):
        printed, count = night.printed, night.truth.count
        cells = [name for name in printed if name[0][:9] == "observed:" and count(name) >= MIN_N]
        reached = [(name[0].replace("observed", "reached"), *name[1:]) for name in cells]
        assert len(cells) > 20
        assert all(printed[name] is not None for name in cells)
        assert sum(printed[name] is not None for name in reached) >= 0.8 * len(cells)
        assert all(printed[name] is not None or count(name) < MIN_N for name in reached)


def test_the_pass_rate_of_the_active_is_shown_for_every_course(top: Path) -> None:
    for night in nights(top):
        shown = {share.part[1] for share in night.shares if share.part[0] == "passed and active"}
        assert shown - {ALL} == set(night.truth.courses)


def test_nothing_printed_on_two_nights_gives_a_small_count_away(top: Path) -> None:
    """Neither a count of 1 to 9, nor how many passed between two days or since the night before."""
    found = Constraints(nights(top)[-2:])
    n_tried, known, narrow, guessed = attacked(found.board, 40, found.targets)
    assert n_tried == 40
    assert known == 0
    assert narrow <= 0.05
    assert guessed <= 0.2


def test_many_nightly_reports_give_no_single_event_away(smallest: Path) -> None:
    """Of each count that grew by one overnight, the pages allow another number of events."""
    printed = nights(smallest)
    assert len(printed) == N_NIGHTS
    assert [night.unread or night.faults() for night in printed] == [[]] * N_NIGHTS
    found = Constraints(printed)
    assert len(found.single_events) > 30 * (N_NIGHTS - 1)
    assert without_alternative(found.board, found.single_events) == []


def test_three_nights_of_exact_counts_would_give_single_events_away(smallest: Path) -> None:
    found = Constraints(nights(smallest)[:3], rounded=False)
    known = without_alternative(found.board, found.single_events)
    assert len(known) > 0.4 * len(found.single_events)


def test_all_that_the_attacker_takes_for_granted_is_so(top: Path) -> None:
    board = Constraints(nights(top)).board
    exact = np.array(board.exact)
    assert len(board.sums) > 900
    assert len(board.parts) > 700
    assert (exact >= np.array(board.low)).all()
    assert (exact <= np.array(board.high)).all()
    for places, weights in board.sums:
        assert exact[places] @ weights == 0
    assert all(exact[part] <= exact[whole] for part, whole in board.parts)


def changed_report(folder: Path, copy: Path, page: str, old: str, new: str) -> Path:
    shutil.copytree(folder, copy)
    path = copy / page
    text = path.read_text(encoding="utf-8")
    assert re.search(old, text), old
    path.write_text(re.sub(old, new, text, count=1), encoding="utf-8")
    return copy


CHANGES = {
    "a count": ("00-start-here.html", r'"n_reached":(\d+)', r'"n_reached":1\1'),
    "an exact count": ("00-start-here.html", r'"n_enrolled":(\d+)0,', r'"n_enrolled":\g<1>3,'),
    "a share": ("00-start-here.html", r'"at":0\.(\d)', r'"at":0.9\1'),
    "an interval": ("00-start-here.html", r"\(95% interval \d\d", "(95% interval 11"),
    "a sentence": ("02-cohorts.html", '<p class="finding">', '<p class="finding">Of these, 7. '),
    "a column": ("03-completion.html", r'"ecdf":', '"oldest":93,"ecdf":'),
    "a heading": ("02-cohorts.html", "<th[^>]*>Pass rate of enrolled", "<th>Dropped out"),
    "a step": ("04-time-to-pass.html", r'"value":0\.3\d', '"value":0.9'),
    "a day": ("04-time-to-pass.html", r"Within 365 days", "Within 10 days"),
    "a p-value": ("04-time-to-pass.html", r"χ² = \d+", "χ² = 3"),
    "a tile": ("index.html", r"<strong>\d\d%", "<strong>99%"),
    "a drawing": ("figures/02-cohorts-1.svg", r">(\d)%</text>", r">1\g<1>1 learners</text>"),
    "a file": ("figures/03-completion-2.csv", r"\n([^\n]*)$", r"\n\1\n9,9,9"),
    "a text that is heard": ("02-cohorts.html", r'aria-label="Chart', 'aria-label="12 learners'),
    "a domain": ("02-cohorts.html", r'"domain":\[0,', '"domain":[0.2345,'),
}


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium here")
def test_the_pdf_says_what_the_first_page_says(smallest: Path, tmp_path: Path) -> None:
    index = smallest / str(N_NIGHTS) / "index.html"
    assert write_pdf(index, tmp_path / "overview.pdf")
    drawn, beside = pdf_texts(tmp_path / "overview.pdf")
    page = soup(index)
    said = Counter(re.findall(r"\d+", words(page)))
    assert not Counter(re.findall(r"\d+", " ".join(drawn))) - said
    assert sum(map(len, drawn)) > 2_000
    heard = words(page) + "".join(str(tag["aria-label"]) for tag in page.select("[aria-label]"))
    known = "".join(heard.split())
    of_the_program = re.compile(r"node\d+|D:\d{14}.*|Mozilla.*|Skia.*")
    for text in [*drawn, *beside]:
        plain = "".join(unicodedata.normalize("NFKC", text).split())
        assert plain in known or of_the_program.fullmatch(text) or not re.search(r"\d", text)


def test_a_picture_is_drawn_from_what_the_drawing_beside_it_shows_and_holds_nothing_else(
    smallest: Path,
) -> None:
    pictures = sorted((smallest / str(N_NIGHTS) / "figures").glob("*.png"))
    assert len(pictures) > 10
    for picture in pictures:
        content = picture.read_bytes()
        svg = picture.with_suffix(".svg").read_text(encoding="utf-8")
        assert content == vl_convert.svg_to_png(svg, scale=2)
        assert chunks(content) <= {b"IHDR", b"pHYs", b"IDAT", b"IEND"}


def test_what_lies_beside_the_pages_holds_no_output(smallest: Path) -> None:
    """Notebooks are as their authors wrote them; scripts and styles are those shipped."""
    folder = smallest / str(N_NIGHTS)
    shipped = Path(tk.__file__).parent / "reports" / "assets"
    for path in folder.rglob("*"):
        if path.suffix == ".ipynb":
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            assert not any(cell.get("outputs") for cell in cells)
        elif path.parent.name == "assets" and path.name != "vega.js":
            assert path.read_bytes() == (shipped / path.name).read_bytes()
        elif path.is_file() and path.name != "vega.js":
            assert path.suffix in {".html", ".svg", ".png", ".csv"}, "which nobody reads"


def chunks(png: bytes) -> set[bytes]:
    """The kinds of the parts of a PNG file: `tEXt`, `iTXt`, `zTXt` and `eXIf` would hold words."""
    found, at = set(), 8
    while at < len(png):
        found.add(png[at + 4 : at + 8])
        at += 12 + int.from_bytes(png[at : at + 4])
    return found


@pytest.mark.parametrize("what", CHANGES)
def test_a_number_that_is_changed_or_added_is_noticed(
    what: str, smallest: Path, tmp_path: Path
) -> None:
    good = nights(smallest)[-2]
    folder = changed_report(good.folder, tmp_path / "report", *CHANGES[what])
    found = Oracle(folder, good.truth, good.before, good.changes)
    assert found.unread or found.faults(), what


def test_the_attack_finds_what_exact_counts_would_give_away(smallest: Path) -> None:
    found = Constraints(nights(smallest)[-2:], rounded=False)
    _, known, _, _ = attacked(found.board, 60, found.targets)
    assert known > 0.05
