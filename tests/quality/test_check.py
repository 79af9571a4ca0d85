"""tk.check on small frames, each with one fault."""

import errno
import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import toolkit as tk
from toolkit.schemas import COMPLETION, ENROLLMENTS, GRADES

AS_OF = datetime(2026, 1, 31, 12, tzinfo=UTC)


def grades(*rows: tuple) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=GRADES.polars_schema, orient="row")


CS = "course-v1:Org+CS101+2025"
PASSED = datetime(2026, 1, 20, 10, 0, 1, tzinfo=UTC)
ZORA = ("zora", "zora@example.com", CS, "Computing", 0.8, "Pass", PASSED, date(2026, 1, 25))
BEN = ("ben", "ben@example.com", CS, "Computing", 0.2, None, None, date(2026, 1, 30))
ENROLLED = pl.DataFrame(
    [(who, f"{who}@example.com", CS, True, "audit", datetime(2025, 9, 1, 8, 30, tzinfo=UTC))
     for who in ("zora", "ben")],
    schema=ENROLLMENTS.polars_schema, orient="row",
)  # fmt: skip
SEEN = pl.DataFrame(
    [("zora", "zora@example.com", CS, 1.0), ("ben", "ben@example.com", CS, 0.25)],
    schema=COMPLETION.polars_schema,
    orient="row",
)


def failing(report: tk.quality.QualityReport) -> list[tuple[str, str, int | None]]:
    return [(o.frame, o.check, o.n_unexpected) for o in report.failed()]


def test_clean_frames_pass_every_check_that_is_run() -> None:
    report = tk.check(grades=grades(ZORA, BEN), enrollments=ENROLLED, completion=SEEN, as_of=AS_OF)
    assert failing(report) == []
    assert report.ok
    assert report.failures.is_empty()
    assert {o.check for o in report.outcomes if o.status == "not run"} == {
        "pass_after_course_start"
    }


def test_a_duplicate_key_is_found_with_both_records() -> None:
    report = tk.check(grades=grades(ZORA, BEN, ZORA), as_of=AS_OF)
    assert failing(report) == [("grades", "key_unique", 2)]
    assert report.failures.to_dicts() == [
        {
            "frame": "grades",
            "check": "key_unique",
            "severity": "critical",
            "record": record,
            "username": "zora",
            "course_id": CS,
        }
        for record in (0, 2)
    ]


def test_a_pass_before_the_enrollment_shows_only_when_both_are_there() -> None:
    early = (*ZORA[:6], datetime(2025, 8, 31, 9, 0, 1, tzinfo=UTC), ZORA[7])
    assert tk.check(grades=grades(early, BEN), as_of=AS_OF).ok
    report = tk.check(grades=grades(early, BEN), enrollments=ENROLLED, as_of=AS_OF)
    assert failing(report) == [("person_course", "pass_after_enrollment", 1)]


def test_no_display_of_a_report_names_a_learner() -> None:
    report = tk.check(grades=grades(ZORA, BEN, ZORA), as_of=AS_OF)
    shown = [repr(report), report._repr_html_(), report.to_json(), report.to_junit()]
    shown += [str(result) for result in report.results]
    for text in shown:
        assert "zora" not in text


def test_a_lazy_frame_gives_the_same_report() -> None:
    faulty = grades(ZORA, BEN, ZORA)
    at_once = tk.check(grades=faulty, enrollments=ENROLLED, as_of=AS_OF)
    streamed = tk.check(grades=faulty.lazy(), enrollments=ENROLLED.lazy(), as_of=AS_OF)
    assert failing(streamed) == failing(at_once) != []
    assert streamed.failures.equals(at_once.failures)


def test_a_missing_column_fails_once_and_stops_what_needs_it() -> None:
    report = tk.check(grades=grades(ZORA, BEN).drop("last_date", "email"), as_of=AS_OF)
    assert failing(report) == [("grades", "columns", 1)]
    reasons = {o.check: o.detail for o in report.outcomes if o.status == "not run"}
    assert reasons["fresh"] == "no column `last_date`"
    assert reasons["email_form"] == "no column `email`"


def test_without_as_of_nothing_is_compared_with_the_present() -> None:
    report = tk.check(grades=grades(ZORA, BEN))
    assert {o.check for o in report.outcomes if o.status == "not run"} == {
        "passed_in_time",
        "last_date_in_time",
        "fresh",
    }


def test_many_problems_of_normalization_are_a_failure() -> None:
    problem = {"resource": "grades", "record": 1, "column": "percent_grade", "raw": "x",
               "reason": "no number"}  # fmt: skip
    report = tk.check(grades=grades(ZORA, BEN), problems=pl.DataFrame([problem] * 2), as_of=AS_OF)
    assert failing(report) == [("problems", "few", None)]


def test_failures_stop_the_caller_at_the_severity_named() -> None:
    report = tk.check(grades=grades(ZORA, (*BEN[:4], None, *BEN[5:])), as_of=AS_OF)
    assert failing(report) == [("grades", "percent_grade_not_null", 1)]
    report.raise_for_failures()
    report.raise_for_failures(severity="warning")
    with pytest.raises(tk.errors.QualityError, match="every record has a grade – fewer than 10"):
        report.raise_for_failures(severity="info")


def test_every_form_of_a_report_rounds_counts_and_withholds_small_ones(tmp_path: Path) -> None:
    def learner(number: int, grade: float | None) -> tuple:
        return (f"learner{number}", None, CS, "Computing", grade, *BEN[5:])

    rows = [learner(i, None if i < 12 else 0.5) for i in range(57)]
    report = tk.check(grades=grades(*rows, learner(55, 0.5), learner(56, 0.5)), as_of=AS_OF)
    exact = [(o.check, o.n_unexpected, o.n_checked) for o in report.failed()]
    assert exact == [("key_unique", 4, 59), ("percent_grade_not_null", 12, 59)]

    pages = [path.read_text(encoding="utf-8") for path in report.to_html(tmp_path).parent.iterdir()]
    for text in [repr(report), report._repr_html_(), report.to_json(), report.to_junit(), *pages]:
        body = re.sub("<style>.*?</style>", "", text, flags=re.DOTALL)
        shown = {int(number) for number in re.findall(r"(?<![\w.#:-])\d+(?![\w.%;:-])", body)}
        assert shown.isdisjoint({4, 12, 59}), body
    by_check = {one["check"]: one for one in json.loads(report.to_json())["checks"]}
    rounded = by_check["percent_grade_not_null"]
    assert (rounded["n_unexpected"], rounded["n_checked"]) in {
        (n, w) for n in (10, 15) for w in (55, 60)
    }
    assert re.search("p_[0-9a-f]", rounded["detail"])
    few = by_check["key_unique"]
    assert few["detail"] == "listed in tk.check(…).failures"
    with pytest.raises(
        tk.errors.QualityError, match=r"one record in a course – fewer than 10 of (55|60)$"
    ):
        report.raise_for_failures()


def test_nothing_to_check_is_refused() -> None:
    with pytest.raises(tk.errors.ArgumentError, match="check needs a study or a frame"):
        tk.check()


def test_json_holds_every_check_with_its_outcome() -> None:
    said = json.loads(tk.check(grades=grades(ZORA, BEN, ZORA), as_of=AS_OF).to_json())
    assert (said["ok"], said["n_failed"]) == (False, 1)
    one = next(check for check in said["checks"] if check["status"] == "failed")
    assert (one["check"], one["n_unexpected"], one["n_checked"]) == ("key_unique", None, None)
    assert said["withheld_below"] == 10
    assert {c["n_unexpected"] for c in said["checks"] if c["status"] == "passed"} == {0, None}


def test_junit_counts_failures_and_what_was_not_run() -> None:
    root = ET.fromstring(tk.check(grades=grades(ZORA, BEN, ZORA)).to_junit())  # noqa: S314
    suite = root.find("testsuite[@name='grades']")
    assert suite is not None
    assert (suite.get("failures"), suite.get("skipped")) == ("1", "3")
    assert len(suite.findall("testcase/failure[@type='critical']")) == 1


def test_the_chart_has_a_bar_for_each_failed_check() -> None:
    report = tk.check(grades=grades(ZORA, BEN, ZORA, (*BEN[:4], None, *BEN[5:])), as_of=AS_OF)
    spec = report.chart(source="made up", min_n=None).to_dict()
    assert spec["title"]["text"] == ["2 of 21 checks fail, 1 of them critical"]
    assert spec["title"]["subtitle"] == ["n = 21 checks · made up"]
    (data,) = spec["datasets"].values()
    assert [(bar["severity"], bar["label"]) for bar in data] == [
        ("critical", "4 of 4 (100.00%)"),
        ("info", "1 of 4 (25.00%)"),
    ]
    assert "a learner has one record in a course: 4 of 4 (100.00%)" in spec["description"]


def test_the_chart_of_clean_data_counts_what_passed() -> None:
    spec = tk.check(grades=grades(ZORA, BEN), as_of=AS_OF).chart().to_dict()
    assert spec["title"]["text"] == ["All 21 checks pass"]
    (data,) = spec["datasets"].values()
    assert data == [{"frame": "grades", "n_passed": 21}]


def told_counts(report: tk.quality.QualityReport) -> dict[tuple[str, str], tuple]:
    return {(o.frame, o.check): (o.n_unexpected, o.n_checked) for o in report.released}


def test_one_number_of_records_is_rounded_alike_in_every_check_and_table() -> None:
    with tk.sandbox(learners=400, seed=3) as platform:
        study = tk.load_study(platform)
    dated = pl.when(pl.int_range(pl.len()) % 3 > 0).then("passed_timestamp")
    undated = study.grades.with_columns(dated.alias("passed_timestamp"))
    report = tk.check(grades=undated, enrollments=study.enrollments, as_of=study.as_of)
    lazily = tk.check(grades=undated.lazy(), enrollments=study.enrollments.lazy(), as_of=AS_OF)
    told = told_counts(report)
    everybody = {checked for (_, check), (_, checked) in told.items() if check.endswith("not_null")}
    assert len(everybody) == 1
    assert told_counts(lazily)["grades", "percent_grade_not_null"][1] in everybody

    pc = tk.person_course(undated, study.enrollments, None, as_of=study.as_of)
    match = tk.match_counts(pc).release().frame.row(0, named=True)
    [(n_unexpected, _)] = [told[key] for key in told if key[1] == "letter_has_pass_time"]
    assert match["n_records"] in everybody
    assert match["n_passes_undated"] == n_unexpected


def test_records_without_course_and_learner_are_rounded_alike_in_every_check() -> None:
    grades_only = pl.DataFrame({"percent_grade": [0.5, None, 7.0] * 21})
    told = [o.n_checked for o in tk.check(grades=grades_only).released if o.n_checked]
    assert len(set(told)) <= 2


def test_what_is_found_of_a_whole_frame_is_rounded_or_withheld(tmp_path: Path) -> None:
    import great_expectations.expectations as gxe
    from great_expectations import ExpectationSuite

    rows = [(f"learner{i}", None, CS, "Computing", i / 100 + 0.0123, *BEN[5:]) for i in range(63)]
    suite = ExpectationSuite(
        "grades",
        expectations=[
            gxe.ExpectColumnMaxToBeBetween(column="percent_grade", max_value=0.1),
            gxe.ExpectColumnMeanToBeBetween(column="percent_grade", max_value=0.1),
            gxe.ExpectTableRowCountToBeBetween(max_value=7),
        ],
    )
    report = tk.check(grades=grades(*rows), as_of=AS_OF, suites=[suite])
    pages = [path.read_text(encoding="utf-8") for path in report.to_html(tmp_path).parent.iterdir()]
    for text in [repr(report), report._repr_html_(), report.to_json(), report.to_junit(), *pages]:
        body = re.sub("<style>.*?</style>", "", text, flags=re.DOTALL)
        assert not re.search(r"0\.63|0\.32[0-9]|\b63\b", body), body
    told = {o.detail for o in report.released if o.detail.startswith("found")}
    assert told >= {"found a value that is withheld", "found 0.32"}
    assert told & {"found about 60", "found about 65"}
    with pytest.warns(DeprecationWarning, match="0.4.0 removes"):
        assert report.told == report.released


def test_any_moment_before_the_present_may_be_checked() -> None:
    for as_of in ("0001-01-01", "0001-01-31", "1970-01-01"):
        assert ("grades", "passed_in_time", 1) in failing(
            tk.check(grades=grades(ZORA, BEN), as_of=as_of)
        )


@pytest.mark.parametrize("lazy", [False, True])
def test_without_records_no_check_of_records_passes(lazy: bool) -> None:
    frames = {"grades": grades(), "enrollments": ENROLLED.clear()}
    report = tk.check(**{n: f.lazy() if lazy else f for n, f in frames.items()}, as_of=AS_OF)
    assert {o.check for o in report.outcomes if o.status == "passed"} == {"columns"}
    joined = {o.detail for o in report.outcomes if o.frame == "person_course"}
    assert joined == {"no record"}


ASKED_OF_NONE = {
    "expect_column_values_to_be_between": {"column": "percent_grade", "min_value": 0},
    "expect_column_values_to_not_be_null": {"column": "percent_grade"},
    "expect_column_values_to_be_null": {"column": "percent_grade"},
    "expect_column_values_to_be_in_set": {"column": "letter_grade", "value_set": ["Pass"]},
    "expect_column_values_to_be_unique": {"column": "username"},
    "expect_column_values_to_match_regex": {"column": "username", "regex": "^a"},
    "expect_column_pair_values_to_be_equal": {"column_A": "username", "column_B": "course_id"},
    "expect_compound_columns_to_be_unique": {"column_list": ["username", "course_id"]},
}


@pytest.mark.parametrize("kind", ["in memory", "lazy", "no rows"])
def test_a_check_whose_condition_no_record_meets_is_not_run(kind: str, tmp_path: Path) -> None:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.registry import get_expectation_impl
    from great_expectations.expectations.row_conditions import Column

    frame = grades(ZORA, BEN)
    given = {"in memory": frame, "lazy": frame.lazy(), "no rows": frame.clear()}[kind]
    condition = None if kind == "no rows" else Column("username") == "nobody"
    asked = [
        get_expectation_impl(name)(**kwargs, row_condition=condition, mostly=mostly)
        for name, kwargs in ASKED_OF_NONE.items()
        for mostly in (1.0, 0.5)
    ]
    report = tk.check(grades=given, suites=[ExpectationSuite("grades", expectations=asked)])
    own = [o for o in report.outcomes if f"expect_{o.check}" in ASKED_OF_NONE]
    assert len(own) == len(asked)
    said = {(o.status, o.n_checked, o.n_unexpected, o.detail) for o in own}
    assert said == {("not run", None, None, "no record to check")}
    assert {o.status for o in report.released if f"expect_{o.check}" in ASKED_OF_NONE} == {
        "not run"
    }
    assert report.to_html(tmp_path).exists()


def test_without_passes_no_check_of_passes_passes_but_no_moment_is_shared() -> None:
    status = {o.check: o.status for o in tk.check(grades=grades(BEN), as_of=AS_OF).outcomes}
    assert status["letter_has_pass_time"] == "not run"
    assert status["passed_timestamp_heaps"] == "passed"


@pytest.mark.parametrize("starts", [{}, {"course-v1:Org+CS+R9": "2025-09-01"}])
@pytest.mark.parametrize("lazy", [False, True])
def test_starts_of_other_courses_check_nothing_and_are_told(starts: dict, lazy: bool) -> None:
    frames = {"grades": grades(ZORA, BEN), "enrollments": ENROLLED}
    given = {name: frame.lazy() if lazy else frame for name, frame in frames.items()}
    report = tk.check(**given, course_starts=starts, as_of=AS_OF)
    told = next(o for o in report.outcomes if o.check == "pass_after_course_start")
    assert (told.status, told.detail) == ("not run", "no record is of a course in course_starts")


@pytest.mark.parametrize("names", [["grades"], ["enrollments"]])
def test_starts_of_courses_need_passes_and_another_resource(names: list[str]) -> None:
    frames = {"grades": grades(ZORA, BEN), "enrollments": ENROLLED}
    with pytest.raises(tk.errors.ArgumentError, match="pass grades, and enrollments or"):
        tk.check(**{name: frames[name] for name in names}, course_starts={CS: "2025-09-01"})


def test_threads_may_check_at_once() -> None:
    with tk.sandbox(learners=100) as platform:
        study = tk.load_study(platform)
    with ThreadPoolExecutor(4) as threads:
        assert [*threads.map(lambda _: tk.check(study).ok, range(8))] == [True] * 8


def test_data_docs_replace_earlier_ones_and_no_other_pages(tmp_path: Path) -> None:
    report = tk.check(grades=grades(BEN), as_of=AS_OF)
    report.to_html(tmp_path)
    (tmp_path / "notes.html").write_text("mine")
    report.to_html(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("grades.html", "index.html", "notes.html")
    ]

    (tmp_path / "index.html").write_text("<title>A report of grades</title>")
    (tmp_path / "grades.html").unlink()
    with pytest.raises(tk.errors.ArgumentError, match=r"holds other files \(index.html\)"):
        report.to_html(tmp_path)
    assert not (tmp_path / "grades.html").exists()


def test_data_docs_that_cannot_be_written_leave_the_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tk.check(grades=grades(BEN), as_of=AS_OF)
    before = report.to_html(tmp_path).read_text(encoding="utf-8")

    def full(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(tk.errors.ArgumentError, match="Free space"):
        report.to_html(tmp_path)
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == before


SPELT = ["ada", "ada ", "Ada", "a da", "a  da", "\u00a0A\u2003\tda", "ZOË", " zoë", "bo", "", None]


@pytest.mark.parametrize("column", ["username", "course_id"])
@given(st.lists(st.sampled_from(SPELT), min_size=1, max_size=12))
def test_names_that_look_alike_are_counted_as_in_python(
    column: str, names: list[str | None]
) -> None:
    spelt: dict[str, set[str]] = {}
    for name in names:
        if name is not None:
            spelt.setdefault(" ".join(name.split()).lower(), set()).add(name)
    several = {name for alike in spelt.values() if len(alike) > 1 for name in alike}

    frame = grades(*[ZORA] * len(names)).with_columns(pl.Series(column, names, pl.String))
    [found] = [o for o in tk.check(grades=frame).outcomes if o.check == f"{column}_spellings"]
    assert found.n_unexpected == sum(name in several for name in names)
