"""OULAD through the sandbox: the published figures, and both published and reduced forms."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest

import toolkit as tk
from toolkit.sandbox.start import SandboxPlatform

TOKEN = "throw-away"
# Percent of a module's registrations that ended in Pass or Distinction.
MODULE_SHARES = {
    "AAA": 70.99, "BBB": 47.46, "CCC": 37.84, "DDD": 41.61, "EEE": 56.24, "FFF": 47.00,
    "GGG": 59.75,
}  # fmt: skip
HEADERS = {
    "Authorization": f"Bearer {TOKEN}",
    "Content-Type": "application/json",
    "Access-Control-Request-Headers": "authorization",
}


def records(platform: SandboxPlatform, resource: str) -> pl.DataFrame:
    body = httpx.get(f"{platform.base_url}/api/so2/v1/{resource}", headers=HEADERS).json()
    return pl.DataFrame(body, infer_schema_length=None)


@pytest.fixture(scope="module")
def platform(oulad_dir: Path) -> Iterator[SandboxPlatform]:
    with tk.sandbox(oulad=oulad_dir, token=TOKEN) as platform:
        yield platform


@pytest.fixture(scope="module")
def grades(platform: SandboxPlatform) -> pl.DataFrame:
    return records(platform, "grades")


@pytest.fixture(scope="module")
def enrollments(platform: SandboxPlatform) -> pl.DataFrame:
    return records(platform, "enrollments")


def test_each_resource_has_a_record_per_learner_and_presentation(
    platform: SandboxPlatform, grades: pl.DataFrame, enrollments: pl.DataFrame
) -> None:
    key = ["username", "course_id"]
    completion = records(platform, "completion")
    assert grades.height == enrollments.height == completion.height == 32_593
    assert grades[key].equals(enrollments[key])
    assert grades[key].equals(completion[key])
    assert grades[key].n_unique() == 32_593
    assert grades["username"].n_unique() == 28_785


def test_the_letters_are_the_published_results(grades: pl.DataFrame) -> None:
    letters = dict(grades["letter_grade"].value_counts().iter_rows())
    assert letters == {"Pass": 12_361, "Distinction": 3_024, "": 7_052 + 10_156}


def test_the_share_of_passes_a_module_is_the_counted_one(grades: pl.DataFrame) -> None:
    module = pl.col("display_name").str.extract(r"module (\w+)").alias("module")
    shares = grades.group_by(module).agg((pl.col("letter_grade") != "").mean() * 100)
    assert {name: round(share, 2) for name, share in shares.iter_rows()} == MODULE_SHARES


def test_the_registrations_a_presentation_are_the_published_ones(
    enrollments: pl.DataFrame,
) -> None:
    registrations = dict(enrollments["course_id"].value_counts().iter_rows())
    assert registrations["course-v1:OU+AAA+2013J"] == 383
    assert registrations["course-v1:OU+AAA+2014J"] == 365
    assert registrations["course-v1:OU+CCC+2014J"] == 2_498
    assert len(registrations) == 22
    assert sum(registrations.values()) / 22 == 1_481.5


def test_the_toolkit_s_own_functions_reproduce_the_figures(platform: SandboxPlatform) -> None:
    study = tk.load_study(platform)
    assert study.person_course.height == 32_593
    modules = tk.outcomes(study.person_course, by=["course_number"]).frame
    shares = modules.select("course_number", pl.col("n_passed") / pl.col("n_enrolled") * 100)
    assert {name: round(share, 2) for name, share in shares.iter_rows()} == MODULE_SHARES
    assert modules["n_passed"].sum() == 12_361 + 3_024
    runs = tk.outcomes(study.person_course, by=["course_run"]).frame
    assert runs["n_enrolled"].sum() == 32_593
    presentations = tk.outcomes(study.person_course, by=["course_id"]).frame
    assert presentations["n_enrolled"].mean() == 1_481.5
    assert presentations["n_enrolled"].to_list()[:2] == [383, 365]


def test_the_running_score_of_learner_47061_passes_the_mark_at_the_third_submission(
    grades: pl.DataFrame, platform: SandboxPlatform, oulad_dir: Path
) -> None:
    # 11.68, 37.16, 53.96, 70.20 after days 32, 69, 130 and 169 of a start on 1 October 2014.
    url = f"{platform.base_url}/api/so2/v1/grades?username=ou-47061"
    (grade,) = httpx.get(url, headers=HEADERS).json()
    assert grade["course_id"] == "course-v1:OU+EEE+2014J"
    assert grade["percent_grade"] == "0.7020"
    assert grade["passed_timestamp"] == "2015-02-08 00:00:00.000000"
    assert grades.filter(pl.col("username") == "ou-47061").to_dicts() == [grade]


def test_submissions_without_a_score_are_counted(platform: SandboxPlatform) -> None:
    assert platform.remark is not None
    assert platform.remark.startswith("173 of 168,953 graded submissions have no score")


def test_what_is_missing_in_oulad_is_null(grades: pl.DataFrame, enrollments: pl.DataFrame) -> None:
    assert enrollments["created"].null_count() == 45
    assert grades["last_date"].null_count() == 3_365
    without_weights = grades.filter(pl.col("percent_grade").is_null())
    assert set(without_weights["display_name"].str.slice(10, 3)) == {"GGG"}


def test_nothing_lies_after_the_clock(
    platform: SandboxPlatform, grades: pl.DataFrame, enrollments: pl.DataFrame
) -> None:
    clock = platform.clock.strftime("%Y-%m-%d %H:%M:%S")
    assert clock == "2015-06-28 00:00:00"
    for column in (grades["passed_timestamp"], grades["last_date"], enrollments["created"]):
        assert str(column.max()) < clock


def test_the_sandbox_says_that_the_learners_are_real(platform: SandboxPlatform) -> None:
    assert platform.label == "sandbox: OULAD, real learners (CC BY 4.0)"
    assert platform.truth is None


# A few learners by hand. AAA 2013J starts on 1 October 2013, BBB 2014B on 1 February 2014;
# the weights of BBB sum to 0.
PUBLISHED = {
    "studentInfo": """code_module,code_presentation,id_student,gender,final_result
"AAA","2013J","11","M","Pass"
"AAA","2013J","12","F","Withdrawn"
"BBB","2014B","11","M","Distinction"
""",
    "studentRegistration": """\
code_module,code_presentation,id_student,date_registration,date_unregistration
"AAA","2013J","11","-30",""
"AAA","2013J","12","","5"
"BBB","2014B","11","3",""
""",
    "assessments": """code_module,code_presentation,id_assessment,assessment_type,date,weight
"AAA","2013J","1","TMA","19","12.5"
"AAA","2013J","2","CMA","54","87.5"
"AAA","2013J","3","Exam","","100"
"BBB","2014B","4","TMA","19","0"
""",
    "studentAssessment": """id_assessment,id_student,date_submitted,is_banked,score
"2","11","60","0","50"
"1","11","-1","1","81"
"3","11","250","0","90"
"1","12","2","0","?"
"4","11","20","0","70"
""",
    "studentVle": """code_module,code_presentation,id_student,id_site,date,sum_click
"AAA","2013J","11","7","-5","4"
"AAA","2013J","11","8","240","1"
"AAA","2013J","11","7","0","2"
"BBB","2014B","11","9","1","1"
""",
}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    for name, text in PUBLISHED.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


@pytest.fixture
def reduced(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reduced")
    tables = {
        name: pl.read_csv(published / f"{name}.csv", null_values=["", "?"]) for name in PUBLISHED
    }
    clicks = tables.pop("studentVle").group_by("code_module", "code_presentation", "id_student")
    tables["studentActivity"] = clicks.agg(
        first_day=pl.col("date").min(), last_day=pl.col("date").max(), clicks=pl.len()
    )
    for name, table in tables.items():
        table.write_parquet(folder / f"{name}.parquet")
    return folder


def test_a_small_release_becomes_the_records_worked_out_by_hand(published: Path) -> None:
    with tk.sandbox(oulad=published, token=TOKEN) as platform:
        grades, enrollments, completion = (
            records(platform, resource) for resource in ("grades", "enrollments", "completion")
        )
    in_course = grades.select(pl.format("{} {}", "username", pl.col("course_id").str.slice(13)))
    assert in_course.to_series().to_list() == [
        "ou-11 AAA+2013J",
        "ou-12 AAA+2013J",
        "ou-11 BBB+2014B",
    ]
    # 81 × 12.5 % + 50 × 87.5 % = 10.125 + 43.75 = 53.875; the exam does not count.
    assert grades["percent_grade"].to_list() == ["0.5388", "0.0000", None]
    assert grades["letter_grade"].to_list() == ["Pass", "", "Distinction"]
    assert grades["passed_timestamp"].to_list() == ["2013-11-30 00:00:00.000000", None, None]
    assert grades["last_date"].to_list() == ["2014-05-29", None, "2014-02-02"]
    assert enrollments["created"].to_list() == ["2013-09-01 00:00", None, "2014-02-04 00:00"]
    assert enrollments["is_active"].to_list() == [True, False, True]
    assert completion["completion"].to_list() == ["1.0000", "0.5000", "1.0000"]


def test_the_published_csv_and_the_parquet_copy_give_the_same(
    published: Path, reduced: Path
) -> None:
    bodies = []
    for folder in (published, reduced):
        with tk.sandbox(oulad=folder, token=TOKEN) as platform:
            bodies.append(
                [records(platform, name) for name in ("grades", "enrollments", "completion")]
            )
    assert all(one.equals(other) for one, other in zip(*bodies, strict=True))


def test_a_missing_column_is_named(published: Path) -> None:
    (published / "assessments.csv").write_text("id_assessment\n1\n")
    with pytest.raises(
        tk.errors.ConfigurationError, match=r"assessments\.csv lacks assessment_type, "
    ):
        tk.sandbox(oulad=published)


def test_a_missing_table_is_named(published: Path) -> None:
    (published / "studentVle.csv").unlink()
    with pytest.raises(tk.errors.ConfigurationError, match=r"neither studentVle\.parquet nor"):
        tk.sandbox(oulad=published)
