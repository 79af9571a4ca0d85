"""Narratives of the time to pass. Nothing here computes a statistic."""

from __future__ import annotations

from typing import Any

import polars as pl

from toolkit.release.tables import SHOWN
from toolkit.results.result import Released
from toolkit.text import curves, naming, words
from toolkit.text.comparison_narratives import NO_MORE, ONLY_CHANCE, degrees, verdict
from toolkit.text.left_out import in_groups, in_pairs
from toolkit.text.narratives import TOO_FEW
from toolkit.text.words import hidden, listed, percent, plural, told_count

Row = dict[str, Any]
_MOST = 4  # differences named one by one


def kaplan_meier(released: Released) -> str:
    """Say what share has passed by the last day that half of the curves reach, up to a year."""
    known = _known(released, "survival")
    if not known:
        return TOO_FEW
    day = curves.common_day([part for _, part in known], "survival")
    known = [(name, part) for name, part in known if curves.end(part, "survival") >= day]
    shares = sorted(
        ((1 - (curves.height(part, "survival", day) or 0.0), name, part) for name, part in known),
        key=lambda found: found[:2],
    )
    at = f"Within {words.days(day)} days, "
    if not released.by:
        n = known[0][1]["n_at_risk"][0]
        return (
            f"{at}an estimated {_passed(shares[0], released)} of {told_count(n, released.min_n)} "
            f"enrollments pass{_bounds(shares[0][2], day, released)}.{_unseen(released)}"
        )
    low, high = shares[0], shares[-1]
    if len(known) == 1:
        interval = _bounds(low[2], day, released)
        told = f"{at}an estimated {_passed(low, released)} pass in {low[1]}{interval}."
    else:
        told = (
            f"{at}between an estimated {_passed(low, released)} in {low[1]}"
            f"{_bounds(low[2], day, released)} and {_passed(high, released)} in {high[1]}"
            f"{_bounds(high[2], day, released)} pass, over {plural(len(known), 'group')}."
        )
    total = released.frame.select(released.by).n_unique()
    text = f"{told}{hidden(total, len(known))}{_unseen(released)}"
    return f"{text}{_mixture(released)}{words.formed_later(released.by)}"


def _bounds(part: pl.DataFrame, day: float, released: Released, value: str = "survival") -> str:
    """The interval of the share that has passed, or has come to an end, by a day."""
    row = curves.row_at(part, value, day)
    if row is None or row["ci_low"] is None or row["ci_high"] is None:
        return ""
    nobody = 1.0 if value == "survival" else 0.0
    if row[value] == nobody and released.min_n is not None:
        return ""  # so few that the share itself is given as a bound
    if value == "survival":
        row |= {"ci_low": 1 - row["ci_high"], "ci_high": 1 - row["ci_low"]}
    return _percents(row, released)


def _mixture(released: Released) -> str:
    """Say to which mixture the groups are standardized, if to any."""
    if "within" not in released.frame.columns or released.frame.is_empty():
        return ""
    within = naming.strata(released.frame["within"][0])
    return f" The groups are standardized to the same mixture by {within}."


def _passed(found: tuple[float, str, pl.DataFrame], released: Released) -> str:
    """The share that has passed; before the first released step, only an upper bound is known."""
    share, _, part = found
    n = part["n_at_risk"][0]
    if share == 0 and released.min_n is not None and n is not None:
        return words.under(n, released.min_n)
    return _share(share, released)


def survival_summary(released: Released) -> str:
    """Say within how many days half of the learners pass, or else a quarter, or a smaller share.

    Times by which too few are at risk are not mentioned.
    """
    told = released.frame.filter(pl.col("estimate").is_not_null(), "is_well_observed")
    for statistic, whom in (("median", "Half"), ("first quartile", "A quarter")):
        rows = released.frame.filter(statistic=statistic)
        reached = told.filter(statistic=statistic).sort("estimate", maintain_order=True)
        if reached.height:
            quantiles = _quantiles(rows, reached, whom, released)
            return f"{quantiles}{in_groups(released)}{words.formed_later(released.by)}"
    by_then = told.filter(statistic="passed by")
    if by_then.is_empty():
        return TOO_FEW
    row = by_then.sort("at", "estimate").row(-1, named=True)
    where = f" in {_group(row, released)}" if released.by else ""
    is_reached = rows["estimate"].count() > 0
    known = "while enough learners are at risk" if is_reached else "in the time observed"
    return (
        f"Fewer than a quarter pass {known}: an estimated "
        f"{_share(row['estimate'], released)}{_percents(row, released)} by day "
        f"{words.days(row['at'])}{where}.{in_groups(released)}"
    )


def _quantiles(rows: pl.DataFrame, reached: pl.DataFrame, whom: str, released: Released) -> str:
    low, high = reached.row(0, named=True), reached.row(-1, named=True)
    first = f"{whom} of the learners pass within {_days(low, released)}"
    if not released.by:
        return f"{first}."
    text = f"{first} in {_group(low, released)}"
    if reached.height > 1:
        text += f", within {_days(high, released)} in {_group(high, released)}"
    others = rows.filter(pl.col("estimate").is_null())
    fewer = others.filter(pl.col("status") == SHOWN, pl.col("n_learners") > 0).height
    untold, late = others.height - fewer, rows.height - others.height - reached.height
    text += f". In {plural(fewer, 'group')} fewer pass" if fewer else ""
    text += f". In {plural(late, 'group')} too few are at risk by then" if late else ""
    text += f". For {plural(untold, 'group')} this cannot be shown" if untold else ""
    return f"{text}."


def logrank(released: Released) -> str:
    """Say whether the curves differ by more than chance."""
    return _test(released, "curves", "log-rank")


def gray_test(released: Released) -> str:
    """Say whether the incidence of an end differs between groups by more than chance."""
    return _test(released, "incidence curves", "Gray's")


def _test(released: Released, what: str, test: str) -> str:
    row = released.frame.row(0, named=True)
    if row["p_value"] is None or row["statistic"] is None:
        return f"The {what} cannot be compared: there are too few events."
    figures = (
        f"χ² = {words.number(row['statistic'])}, {degrees(row['df'])}, "
        f"{words.p_value(row['p_value'])}"
    )
    n = released.frame.filter("is_compared").height
    left = released.frame.height - n
    beside = f" {plural(left, 'group')} could not be compared." if left else ""
    return (
        f"The {what} of the {plural(n, 'group')} {verdict(row['p_value'], released.alpha)} "
        f"({test} test: {figures}).{beside}{in_groups(released)}{words.formed_later(released.by)}"
    )


def logrank_pairs(released: Released) -> str:
    """Say how many pairs of curves differ by more than chance, and which most clearly."""
    seen = released.frame.filter(pl.col("p_adjusted").is_not_null())
    if seen.is_empty():
        return TOO_FEW
    differ = seen.filter(pl.col("p_adjusted") < released.alpha).height
    row = seen.sort("p_adjusted", "p_value", maintain_order=True).row(0, named=True)
    pair = f"{naming.name(row['group'])} and {naming.name(row['other'])}"
    p = f"{words.p_value(row['p_adjusted'])} after Holm's correction"
    if differ == 0:
        told = f"The curves {ONLY_CHANCE}"
    else:
        of = f"{differ} of {plural(seen.height, 'pair')} of curves"
        told = f"{of} differ by more than chance alone would explain"
    nobody = in_pairs(released, ["group"], "other")
    return f"{told}; the smallest p is that of {pair} ({p}).{nobody}"


def rmst_difference(released: Released) -> str:
    """Say how many days sooner or later each group passes, on average, than the reference."""
    seen = _seen(released)
    if seen.is_empty():
        return TOO_FEW
    told = []
    for row in _ends_of(seen).iter_rows(named=True):
        d = row["difference"]
        way = "sooner" if d < 0 else "later"
        ends = words.between(_signed(row["simultaneous_low"]), _signed(row["simultaneous_high"]))
        told.append(
            f"{_group(row, released)} {words.days(abs(d))} days {way} "
            f"({words.kind_of_interval(released)} {ends}, {words.p_value(row['p_adjusted'])})"
        )
    first = seen.row(0, named=True)
    return (
        f"Within {words.days(first['horizon'])} days learners pass, on average, compared with "
        f"{naming.name(first['reference'])}: {_of_all(told, seen)}."
        f"{words.for_all(released.frame.height)}{_caution(seen, released)}"
        f"{in_pairs(released, list(released.by), 'reference')}{_mixture(released)}"
        f"{words.formed_later(released.by)}"
    )


def milestone_difference(released: Released) -> str:
    """Say by how many percentage points the share passed differs from the reference's."""
    seen = _seen(released)
    if seen.is_empty():
        return TOO_FEW
    told = [
        f"{_group(row, released)} {_share(row['passed_share'], released)}, "
        f"{words.percentage_points(row['difference'], decimal=released.min_n is None)} "
        f"({words.kind_of_interval(released)} {_points_between(row, released)}, "
        f"{words.p_value(row['p_adjusted'])})"
        for row in _ends_of(seen).iter_rows(named=True)
    ]
    first = seen.row(0, named=True)
    return (
        f"By day {words.days(first['at'])}, {_share(first['reference_share'], released)} of "
        f"{naming.name(first['reference'])} have passed. In comparison: {_of_all(told, seen)}."
        f"{words.for_all(released.frame.height)}{_caution(seen, released)}"
        f"{in_pairs(released, list(released.by), 'reference')}{_mixture(released)}"
        f"{words.formed_later(released.by)}"
    )


def cumulative_incidence(released: Released) -> str:
    """Say what share reaches each end."""
    value = "cumulative_incidence"
    known = _known(released, value)
    if not known:
        return TOO_FEW
    day = curves.common_day([part for _, part in known], value)
    known = [(name, part) for name, part in known if curves.end(part, value) >= day]
    by_day = f"By day {words.days(day)}, "
    told = []
    for end in known[0][1]["end"].unique(maintain_order=True):
        parts = {name: part.filter(end=end) for name, part in known}
        shares = [(curves.height(part, value, day) or 0.0, name) for name, part in parts.items()]
        (low, lowest), (high, highest) = min(shares), max(shares)
        least, most = (_bounds(parts[name], day, released, value) for name in (lowest, highest))
        if len(known) == 1:
            where = f" in {lowest}" if released.by else ""
            told.append(f"{_share(low, released)} end as {naming.name(end)}{where}{least}")
        else:
            told.append(
                f"{naming.name(end)} from {_share(low, released)} in {lowest}{least} to "
                f"{_share(high, released)} in {highest}{most}"
            )
    if len(known) == 1:
        return f"{by_day}an estimated {listed(told)}.{_unseen(released)}"
    later = words.formed_later(released.by)
    return f"{by_day}estimated shares are: {'; '.join(told)}.{_unseen(released)}{later}"


def nelson_aalen(released: Released) -> str:
    """Say how high the cumulative hazard gets."""
    known = _known(released, "cumulative_hazard")
    if not known:
        return TOO_FEW
    value = "cumulative_hazard"
    told = []
    for name, part in known[:6]:
        day = curves.end(part, value)
        reached = words.number(curves.height(part, value, day) or 0.0)
        low, high = (curves.height(part, end, day) for end in ("ci_low", "ci_high"))
        if low is not None and high is not None:
            between = words.between(words.number(low), words.number(high))
            reached += words.in_brackets(between, released)
        where = f" in {name}" if released.by else ""
        told.append(f"{reached} by day {words.days(day)}{where}")
    return f"The cumulative hazard of passing reaches {listed(told)}.{in_groups(released)}"


def hazard(released: Released) -> str:
    """Say when learners are most likely to pass."""
    peaks = [
        (peak, name)
        for name, part in _known(released, "hazard")
        if (peak := curves.peak(part)) is not None
    ]
    if not peaks:
        return TOO_FEW
    (first, early), (last, late) = min(peaks), max(peaks)
    likely = "Learners who have not yet passed are most likely to pass around day"
    if len(peaks) == 1:
        where = f" in {early}" if released.by else ""
        return f"{likely} {first:,.0f}{where}.{in_groups(released)}"
    return (
        f"{likely} {first:,.0f} in {early}, around day {last:,.0f} in {late}.{in_groups(released)}"
    )


def exclusions(released: Released) -> str:
    """Say how many learners have no time to pass, by reason."""
    told = [
        f"{'about ' if released.by else ''}{n:,} ({reason})"
        for reason, n in released.frame.group_by("reason", maintain_order=True)
        .agg(pl.col("n_excluded").sum())
        .iter_rows()
        if n
    ]
    if told:
        return f"Left out of the time to pass: {listed(told)}."
    if released.min_n is None:
        return "Nobody is left out of the time to pass."
    return f"Fewer than {released.min_n} learners are left out of the time to pass for any reason."


def _known(released: Released, value: str) -> list[tuple[str, pl.DataFrame]]:
    """The groups whose curves can be shown, with their names."""
    frame = released.frame.with_columns(
        _name=pl.Series(naming.labels(released.frame, released.by), dtype=pl.String)
    )
    return [
        (part["_name"][0], part)
        for part in curves.parts(frame, released.by)
        if part[value].count() > 0
    ]


def _seen(released: Released) -> pl.DataFrame:
    return released.frame.filter(pl.col("difference").is_not_null())


def _group(row: Row, released: Released) -> str:
    return " · ".join(naming.name(row[name], name) for name in released.by)


def _share(share: float, released: Released) -> str:
    return percent(share, decimal=released.min_n is None)


def _percents(row: Row, released: Released) -> str:
    if row["ci_low"] is None or row["ci_high"] is None:
        return ""
    decimal = released.min_n is None
    low, high = (percent(row[end], decimal=decimal, plain=True) for end in ("ci_low", "ci_high"))
    return words.in_brackets(words.between(low, high), released)


def _points_between(row: Row, released: Released) -> str:
    if row["simultaneous_low"] is None or row["simultaneous_high"] is None:
        return "unknown"
    decimal = released.min_n is None
    low, high = (
        words.points(row[e], decimal=decimal, unit=False)
        for e in ("simultaneous_low", "simultaneous_high")
    )
    return words.between(low, high)


def _signed(days: float | None) -> str:
    return "unknown" if days is None else words.signed(words.days(abs(days)), days)


def _ends_of(seen: pl.DataFrame) -> pl.DataFrame:
    """All rows if they are few, else the smallest and the largest difference."""
    ranked = seen.sort("difference", maintain_order=True)
    return ranked if ranked.height <= _MOST else pl.concat([ranked.head(1), ranked.tail(1)])


def _of_all(told: list[str], seen: pl.DataFrame) -> str:
    text = "; ".join(told)
    return text if seen.height <= _MOST else f"{text}, the extremes of {seen.height:,} groups"


def _days(row: Row, released: Released) -> str:
    estimate = f"{words.days(row['estimate'])} days"
    if row["ci_low"] is None or row["ci_high"] is None:
        return estimate
    ends = f"{words.days(row['ci_low'])}–{words.days(row['ci_high'])}"
    return f"{estimate}{words.in_brackets(ends, released)}"


def _caution(seen: pl.DataFrame, released: Released) -> str:
    doubtful = seen.filter(pl.col("p_adjusted") >= released.alpha).height
    return f" Where p is {released.alpha:g} or more, the difference {NO_MORE}." if doubtful else ""


def _unseen(released: Released) -> str:
    text = " Learners not yet observed for that long are accounted for."
    return text + in_groups(released)
