"""The figures of five analyses as one would write them by hand, in Polars and in SQL.

Each function takes the pattern of the Parquet files and returns all columns of the toolkit's
table, without handling what these rows never hold: nulls, NaN, other thresholds, other levels.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from typing import NamedTuple

import duckdb
import polars as pl

from benchmarks import _spark

RATES = {
    "active_rate_of_enrolled": ("n_active", "n_enrolled"),
    "completion_rate_of_enrolled": ("n_completed", "n_enrolled"),
    "completion_rate_of_active": ("n_completed", "n_active"),
    "pass_rate_of_enrolled": ("n_passed", "n_enrolled"),
    "pass_rate_of_active": ("n_passed_active", "n_active"),
    "pass_rate_of_graded": ("n_passed_graded", "n_graded"),
    "pass_rate_of_completed": ("n_passed_completed", "n_completed"),
}
QUARTILES = {"q1": 0.25, "median": 0.5, "q3": 0.75}
Z = NormalDist().inv_cdf(0.975)
MONTH = pl.from_epoch("enrolled_day", time_unit="d").dt.truncate("1mo")
SQL_MONTH = "date_trunc('month', DATE '1970-01-01' + enrolled_day)::DATE"
PERIODS = range(1, 13)
BINS = 20


class Sql(NamedTuple):
    """An engine that answers SQL, and the words of its own."""

    answer: Callable[[str], pl.DataFrame]
    files: str
    quartiles: str


DUCKDB = Sql(
    lambda query: pl.DataFrame(duckdb.sql(query)),
    "read_parquet('{}')",
    "quantile_cont(grade, [0.25, 0.5, 0.75])",
)
SPARK = Sql(
    lambda query: pl.DataFrame(_spark.session().sql(query).toArrow()),
    "parquet.`{}`",
    "percentile(grade, array(0.25, 0.5, 0.75))",
)


def with_rates(table: pl.DataFrame, rates: dict[str, tuple[str, str]]) -> pl.DataFrame:
    """Append shares with Wilson's interval."""
    columns = {}
    for name, (part, whole) in rates.items():
        k, n = pl.col(part), pl.col(whole)
        centre = (k + Z**2 / 2) / (n + Z**2)
        half = Z / (n + Z**2) * (k * (n - k) / n + Z**2 / 4).sqrt()
        low = pl.when(k == 0).then(0.0).otherwise(centre - half)
        high = pl.when(k == n).then(1.0).otherwise(centre + half)
        for end, value in (("", k / n), ("_ci_low", low), ("_ci_high", high)):
            columns[f"{name}{end}"] = pl.when(n > 0).then(value)
    return table.with_columns(**columns)


def outcomes_in_polars(path: str, *by: str) -> pl.DataFrame:
    """Return the outcomes by course, or by course and month."""
    enrolled, grade = pl.col("in_enrollments"), pl.col("percent_grade")
    active = enrolled & ((pl.col("completion") > 0) | (grade > 0))
    done, passed = enrolled & (pl.col("completion") >= 0.8), enrolled & pl.col("passed")
    graded = enrolled & grade.is_not_null()
    counts = {
        "n_not_enrolled": ~enrolled,
        "n_enrolled": enrolled,
        "n_active": active,
        "n_completed": done,
        "n_passed": passed,
        "n_graded": graded,
        "n_graded_active": graded & active,
        "n_passed_active": passed & active,
        "n_passed_graded": passed & graded,
        "n_passed_completed": passed & done,
    }
    described = {}
    for name, group in {"graded": enrolled, "active": active}.items():
        grades = grade.filter(group)
        described[f"grade_mean_of_{name}"] = grades.mean()
        for quartile, share in QUARTILES.items():
            described[f"grade_{quartile}_of_{name}"] = grades.quantile(share, "linear")
    keys = [MONTH.alias(name) if name == "enrolled_month" else pl.col(name) for name in by]
    table = (
        pl.scan_parquet(path)
        .group_by(keys)
        .agg(**{name: one.sum() for name, one in counts.items()}, **described)
        .collect(engine="streaming")
    )
    return with_rates(table, RATES).with_columns(completed_from=0.8)


def outcomes_in_sql(sql: Sql, path: str, *by: str) -> pl.DataFrame:
    """The same in SQL."""
    keys = [f"{SQL_MONTH} enrolled_month" if name == "enrolled_month" else name for name in by]
    query = f"""
    WITH records AS (
        SELECT {", ".join(keys)}, percent_grade AS grade, in_enrollments AS enrolled,
            enrolled AND (completion > 0 OR grade > 0) AS active,
            enrolled AND completion >= 0.8 AS done, enrolled AND passed AS has_passed,
            enrolled AND grade IS NOT NULL AS graded
        FROM {sql.files.format(path)}
    )
    SELECT {", ".join(by)}, count_if(NOT enrolled) AS n_not_enrolled,
        count_if(enrolled) AS n_enrolled, count_if(active) AS n_active,
        count_if(done) AS n_completed, count_if(has_passed) AS n_passed,
        count_if(graded) AS n_graded, count_if(graded AND active) AS n_graded_active,
        count_if(has_passed AND active) AS n_passed_active,
        count_if(has_passed AND graded) AS n_passed_graded,
        count_if(has_passed AND done) AS n_passed_completed,
        avg(grade) FILTER (WHERE enrolled) AS grade_mean_of_graded,
        avg(grade) FILTER (WHERE active) AS grade_mean_of_active,
        {sql.quartiles} FILTER (WHERE enrolled) AS of_graded,
        {sql.quartiles} FILTER (WHERE active) AS of_active
    FROM records GROUP BY ALL
    """  # noqa: S608
    table = sql.answer(query).with_columns(
        pl.col(f"of_{whom}").list.get(place).alias(f"grade_{name}_of_{whom}")
        for whom in ("graded", "active")
        for place, name in enumerate(QUARTILES)
    )
    counts = table.with_columns(pl.col("^n_.*$").cast(pl.Int64))
    return with_rates(counts, RATES).with_columns(completed_from=0.8)


def _distribution(counted: pl.DataFrame) -> pl.DataFrame:
    """Return each course's parts, also the empty ones, with their counts and shares."""
    each, slot, n = "course_id", pl.col("slot"), pl.col("n_learners")
    is_bin = slot.is_between(0, BINS - 1)
    valued = pl.when(is_bin | (slot == -1)).then(n).otherwise(0)
    part = {-2: "missing", -1: "zero", BINS: "out of range"}
    return (
        counted.select(each)
        .unique()
        .join(pl.DataFrame({"slot": range(-2, BINS + 1)}), how="cross")
        .join(
            counted.cast({"slot": pl.Int64, "n_learners": pl.Int64}), on=[each, "slot"], how="left"
        )
        .with_columns(n.fill_null(0))
        .sort(each, "slot")
        .with_columns(
            measure=pl.lit("percent_grade"),
            part=slot.replace_strict(part, default="bin"),
            bin_low=pl.when(is_bin).then(slot / BINS),
            bin_high=pl.when(is_bin).then((slot + 1) / BINS),
            n_enrolled=n.sum().over(each),
            n_valued=valued.sum().over(each),
            n_up_to=pl.when(is_bin).then(valued.cum_sum().over(each)),
        )
        .with_columns(
            share_of_enrolled=n / pl.col("n_enrolled"), ecdf=pl.col("n_up_to") / pl.col("n_valued")
        )
    )


def distribution_in_polars(path: str) -> pl.DataFrame:
    """Distribute the grades of each course over 20 bins."""
    grade = pl.col("percent_grade")
    of_bin = (grade * BINS + 1e-9).floor().clip(0, BINS - 1).cast(pl.Int64)
    slot = pl.when(grade.is_null()).then(-2).when(grade == 0).then(-1)
    slot = slot.when((grade < 0) | (grade > 1)).then(BINS).otherwise(of_bin)
    rows = pl.scan_parquet(path).filter("in_enrollments").group_by("course_id", slot=slot)
    return _distribution(rows.agg(n_learners=pl.len()).collect(engine="streaming"))


def distribution_in_sql(sql: Sql, path: str) -> pl.DataFrame:
    """The same in SQL."""
    query = f"""
    SELECT course_id, count(*) AS n_learners,
        CASE WHEN percent_grade IS NULL THEN -2 WHEN percent_grade = 0 THEN -1
            WHEN percent_grade < 0 OR percent_grade > 1 THEN {BINS}
            ELSE least(floor(percent_grade * {BINS} + 1e-9), {BINS - 1}) END AS slot
    FROM {sql.files.format(path)} WHERE in_enrollments GROUP BY ALL
    """  # noqa: S608
    return _distribution(sql.answer(query))


def _progress(wide: pl.DataFrame) -> pl.DataFrame:
    """Return one row per cohort and period, from the sums of each cohort."""
    seen = pl.col("n_observed") > 0
    long = pl.concat(
        wide.select(
            "cohort",
            "n_members",
            "n_excluded",
            pl.lit(k, pl.Int64).alias("period"),
            n_observed=pl.col(f"n_observed_{k}").cast(pl.Int64),
            n_reached=pl.col(f"n_reached_{k}").cast(pl.Int64),
        )
        for k in PERIODS
    ).with_columns(
        outcome=pl.lit("passed"),
        days=pl.col("period") * 30,
        status=pl.when(seen).then(pl.lit("shown")).otherwise(pl.lit("not yet")),
    )
    rates = with_rates(long, {"reach_rate": ("n_reached", "n_observed")})
    return rates.with_columns(pl.when(seen).then(pl.col("^n_observed|n_reached|reach_rate.*$")))


def progress_in_polars(path: str) -> pl.DataFrame:
    """Count who was observed for k times 30 days, and who had passed by then, by cohort."""
    days, passed = pl.col("days_to_pass"), pl.col("passed")
    excluded = passed & ((days < 0) | days.is_null())
    sums = {"n_excluded": excluded, "n_members": ~excluded}
    for k in PERIODS:
        sums[f"n_observed_{k}"] = seen = ~excluded & (pl.col("observed_days") >= 30 * k)
        sums[f"n_reached_{k}"] = seen & passed & (days <= 30 * k)
    return _progress(
        pl.scan_parquet(path)
        .filter("in_enrollments")
        .group_by(cohort=MONTH)
        .agg(**{name: one.sum() for name, one in sums.items()})
        .collect(engine="streaming")
    )


def progress_in_sql(sql: Sql, path: str) -> pl.DataFrame:
    """The same in SQL."""
    sums = ", ".join(
        f"count_if(member AND observed_days >= {30 * k}) AS n_observed_{k}, "
        f"count_if(member AND observed_days >= {30 * k} AND passed AND days_to_pass <= {30 * k}) "
        f"AS n_reached_{k}"
        for k in PERIODS
    )
    query = f"""
    WITH enrolled AS (
        SELECT {SQL_MONTH} AS cohort, observed_days, passed, days_to_pass,
            NOT (passed AND (days_to_pass < 0 OR days_to_pass IS NULL)) AS member
        FROM {sql.files.format(path)} WHERE in_enrollments
    )
    SELECT cohort, count_if(NOT member) AS n_excluded, count_if(member) AS n_members, {sums}
    FROM enrolled GROUP BY ALL
    """  # noqa: S608
    return _progress(sql.answer(query))


def _curves(counted: pl.DataFrame) -> pl.DataFrame:
    """Return each course's estimate with Greenwood's error and its log-log interval."""
    each = "course_id"
    whole = counted.cast({"n": pl.Int64, "n_events": pl.Int64})
    none = pl.lit(0, pl.Int64)
    began = whole.select(each).unique().with_columns(duration=0.0, n=none, n_events=none)
    n, d, survival = pl.col("n_at_risk"), pl.col("n_events"), pl.col("survival")
    log = survival.log()
    shift = Z * pl.col("greenwood").sqrt() / log
    edge = pl.when(survival == 1)
    return (
        pl.concat([whole, began.select(whole.columns)])
        .group_by(each, "duration")
        .agg(pl.col("n", "n_events").sum())
        .sort(each, "duration")
        .with_columns(n_at_risk=pl.col("n").cum_sum(reverse=True).over(each))
        .with_columns(
            n_censored=pl.col("n") - d,
            survival=(1 - d / n).cum_prod().over(each),
            greenwood=(d / (n * (n - d))).cum_sum().over(each),
        )
        .with_columns(
            std_error=pl.when(survival > 0).then(survival * pl.col("greenwood").sqrt()),
            ci_low=edge.then(0.05 ** (1 / n)).otherwise((log * (-shift).exp()).exp()),
            ci_high=edge.then(1.0).otherwise((log * shift.exp()).exp()),
            n_excluded=none,
            n_undated=none,
        )
        # At survival 0 the toolkit's interval is that of a product of betas, so it is dropped.
        .with_columns(pl.when(survival > 0).then(pl.col("ci_low", "ci_high")))
    )


def curves_in_polars(path: str) -> pl.DataFrame:
    """Estimate Kaplan–Meier curves by course."""
    rows = pl.scan_parquet(path).group_by("course_id", "duration")
    return _curves(rows.agg(n=pl.len(), n_events=pl.col("event").sum()).collect(engine="streaming"))


def curves_in_sql(sql: Sql, path: str) -> pl.DataFrame:
    """The same in SQL."""
    query = (
        "SELECT course_id, duration, count(*) AS n, count_if(event) AS n_events "  # noqa: S608
        f"FROM {sql.files.format(path)} GROUP BY ALL"
    )
    return _curves(sql.answer(query))
