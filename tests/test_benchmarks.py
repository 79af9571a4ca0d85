"""What the benchmarks measure, not how long it takes."""

from benchmarks import analyses
from toolkit.engines.cases import CASES

OF_RESOURCES = {"person_course", "person_course without a resource", "check", "time_to_pass"}


def test_each_analysis_of_rows_is_measured() -> None:
    measured = {*analyses.OF_RECORDS, *analyses.OF_DURATIONS}
    assert measured == {case.analysis for case in CASES} - OF_RESOURCES
