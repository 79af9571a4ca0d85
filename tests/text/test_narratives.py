from __future__ import annotations

import polars as pl
import pytest

import toolkit as tk


def person_course() -> pl.DataFrame:
    """Course A: 60 enrolled, 45 active, 30 passed; B: 60, 30, 15; C: 5 learners, too few."""
    rows = [("A", 60, 45, 30), ("B", 60, 30, 15), ("C", 5, 5, 5)]
    return pl.DataFrame(
        [
            {
                "course_id": course,
                "in_enrollments": True,
                "completion": 0.9 if i < active else 0.0,
                "percent_grade": 0.8 if i < passed else 0.0,
                "passed": i < passed,
                "enrolled_day": 20_000,
                "observed_days": 100.0,
                "days_to_pass": 10.0 + i if i < passed else None,
            }
            for course, enrolled, active, passed in rows
            for i in range(enrolled)
        ]
    )


def durations() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "group": ["fast"] * 40 + ["slow"] * 40,
            "duration": [float(10 + i) for i in range(40)] + [float(50 + i) for i in range(40)],
            "event": [i % 4 != 3 for i in range(40)] + [i % 2 == 0 for i in range(40)],
        }
    )


def test_one_group_is_told_with_its_denominators_and_interval() -> None:
    told = tk.narrate(tk.outcomes(person_course().filter(pl.col("course_id") == "A")))
    assert told == (
        "Of 60 enrollments, 45 (75.0 %) were active and 30 led to a pass: 50.0 % of the enrolled "
        "(95 % interval 37.7–62.3 %) and 66.7 % of the active."
    )


def test_many_groups_are_told_by_their_extremes() -> None:
    told = tk.narrate(tk.outcomes(person_course(), by="course_id"))
    assert "from 25.0 % in B" in told
    assert "to 50.0 % in A" in told
    assert "C" not in told, "five learners are too few to be told"
    assert "Withheld for too few learners: 1 of 3." in told


def test_the_funnel_is_told_by_the_step_that_loses_most() -> None:
    learners = person_course().filter(pl.col("course_id") != "C")
    told = tk.narrate(tk.completion_funnel(learners.filter(pl.col("course_id") == "B")))
    assert told == ("Most learners are lost between enrolled and active: of 60, 30 (50.0 %) go on.")
    told = tk.narrate(tk.completion_funnel(learners, by="course_id"))
    assert told == "Most learners are lost between enrolled and active in all 2 groups."


def test_a_distribution_is_told_by_its_zeros_and_its_fullest_bin() -> None:
    told = tk.narrate(tk.grade_distribution(person_course().filter(pl.col("course_id") != "C")))
    assert "Of 120 enrollments" in told
    assert "75 (62.5 %) have a grade of 0" in told
    assert "80 % to 85 % with 45" in told


def test_the_median_is_told_with_its_group() -> None:
    told = tk.narrate(tk.survival_summary(durations(), by="group"))
    assert "Half of the learners pass within" in told
    assert "fast" in told


def test_a_test_is_told_with_statistic_degrees_and_p() -> None:
    told = tk.narrate(tk.logrank(durations(), by="group"))
    assert "differ by more than chance" in told
    assert "1 degrees of freedom" in told or "1 degree" in told
    assert "p < 0.001" in told


def test_a_frame_of_persons_has_no_story() -> None:
    with pytest.raises(tk.SchemaError, match="there are words for"):
        tk.narrate(person_course())


def test_a_notebook_shows_a_narrative_as_a_paragraph() -> None:
    told = tk.narrate(tk.outcomes(person_course()))
    assert told._repr_markdown_() == str(told)


def test_a_shown_table_merges_an_estimate_with_its_interval() -> None:
    table = tk.outcomes(person_course(), by="course_id")
    shown = tk.show_table(table, ["course_id", "n_enrolled", "pass_rate_of_enrolled"])
    assert list(shown.headings) == ["Course id", "Enrolled", "Pass rate of enrolled"]
    assert shown.rows[0] == ["A", "60", "50.0 % (37.7–62.3)"]
    assert shown.rows[2] == ["C", "withheld", "withheld"]
    assert "fewer than 10" in shown.note


def test_a_shown_table_is_html_with_headers_and_escaped_text() -> None:
    shown = tk.show_table(pl.DataFrame({"course": ["<b>"], "n_learners": [1234]}))
    html = shown._repr_html_()
    assert '<th scope="col"' in html
    assert "&lt;b&gt;" in html
    assert "1,234" in html


def test_a_long_table_says_how_much_of_it_is_shown() -> None:
    shown = tk.show_table(pl.DataFrame({"n_learners": range(50)}), most_rows=5)
    assert len(shown.rows) == 5
    assert shown.note == "5 of 50 rows."


def test_rows_of_persons_are_not_shown() -> None:
    with pytest.raises(tk.DisclosureError, match="one row per person"):
        tk.show_table(pl.DataFrame({"username": ["ada"], "n": [1]}))


def test_an_empty_table_is_shown_as_its_head() -> None:
    shown = tk.show_table(pl.DataFrame(schema={"course": pl.String}))
    assert "<tbody></tbody>" in shown._repr_html_()
    assert repr(shown) == "Course\nNo rows."
