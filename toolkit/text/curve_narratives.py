"""Narratives of curves of the time to pass. Nothing here computes a statistic."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

import polars as pl

from toolkit.release.tables import SHOWN
from toolkit.results.result import Released
from toolkit.text import curves, naming, words
from toolkit.text.left_out import in_groups
from toolkit.text.words import Row, hidden, listed, percent, plural

Named: TypeAlias = tuple[str, pl.DataFrame]
"""A group's name, and the rows of its curve."""


def kaplan_meier(released: Released) -> str:
    """Say what share has passed by the last day that half of the curves reach, up to a year."""
    known = _known(released, "survival")
    if not known:
        return words.too_few(released)
    day = curves.common_day([part for _, part in known], "survival", released.schema.time)
    seen = len(known)
    known = [(name, part) for name, part in known if curves.end(part, "survival") >= day]
    text = words.capitalized(f"{words.within(day, released)}, {_passing(known, day, released)}")
    if not released.by:
        return f"{text}{_unseen(released)}"
    total = released.frame.select(released.by).n_unique()
    text += f"{_shorter(seen - len(known))}{hidden(total, seen)}{_unseen(released)}"
    return f"{text}{standardization(released)}{words.formed_later(released.by)}"


def _passing(known: Sequence[Named], day: float, released: Released) -> str:
    """Say what share has passed by a day, in the groups with the lowest and the highest."""
    told = _told(known, "survival", day)
    if not told:
        return f"fewer than {released.min_n} pass{_where(known, released)}."
    (low, lowest, first), (high, highest, last) = told[0], told[-1]
    least, bounds = f"an estimated {as_percent(low, released)}", _bounds(first, day, released)
    if not released.by:
        n = first["n_at_risk"][0]
        of = f" of {plural(n, 'enrollment')}" if curves.is_whole(first) else ""
        return f"{least}{of} pass{bounds}."
    text = f"{least} pass in {lowest}{bounds}."
    if len(told) > 1:
        text = (
            f"between {least} in {lowest}{bounds} and {as_percent(high, released)} in {highest}"
            f"{_bounds(last, day, released)} pass, over {plural(len(told), 'group')}."
        )
    few = len(known) - len(told)
    others = f" Fewer than {released.min_n} pass by then in {plural(few, 'other group')}."
    return text + others if few else text


def _told(known: Sequence[Named], value: str, day: float) -> list[tuple[float, str, pl.DataFrame]]:
    """Return the share that has passed, or reached an end, by a day, ascending, with its group.

    It is withheld, and the group left out, as long as too few have.
    """
    heights = [(curves.height(part, value, day), name, part) for name, part in known]
    shares = [
        (1 - height if value == "survival" else height, name, part)
        for height, name, part in heights
        if height is not None
    ]
    return sorted(shares, key=lambda found: found[:2])


def _where(known: Sequence[Named], released: Released) -> str:
    """Write in which groups: " in each of 3 groups"; empty if there are no groups."""
    if not released.by:
        return ""
    return f" in {known[0][0]}" if len(known) == 1 else f" in each of {len(known):,} groups"


def _shorter(n: int) -> str:
    """Say of how many groups the curve is known, but not for so long."""
    return f" Too few are at risk for so long in {plural(n, 'other group')}." if n else ""


def _bounds(part: pl.DataFrame, day: float, released: Released, value: str = "survival") -> str:
    """Write the interval of the share that has passed, or reached an end, by a day."""
    row = curves.row_at(part, value, day)
    if row is None or row["ci_low"] is None or row["ci_high"] is None:
        return ""
    if value == "survival":
        row |= {"ci_low": 1 - row["ci_high"], "ci_high": 1 - row["ci_low"]}
    return _percents(row, released)


def standardization(released: Released) -> str:
    """Say by which strata the groups are standardized, if by any."""
    if "within" not in released.frame.columns or released.frame.is_empty():
        return ""
    within = naming.strata(released.frame["within"][0])
    return f" The groups are standardized by {within}."


def survival_summary(released: Released) -> str:
    """Say within how many days half of the learners pass, or else a quarter, or a smaller share.

    Times by which too few are at risk, and rows that were filtered out, are not mentioned.
    """
    named = naming.of_rows(released)
    observed = named.filter(pl.col("estimate").is_not_null(), "is_well_observed")
    for statistic, whom in (("median", "Half"), ("first quartile", "A quarter")):
        rows = named.filter(statistic=statistic)
        reached = observed.filter(statistic=statistic).sort("estimate", maintain_order=True)
        if reached.height:
            quantiles = _quantiles(rows, reached, whom, released)
            return f"{quantiles}{in_groups(released)}{words.formed_later(released.by)}"
    by_then = observed.filter(statistic="passed by")
    if by_then.is_empty():
        return words.too_few(released)
    row = by_then.sort("at", "estimate").row(-1, named=True)
    where = f" in {row['_name']}" if released.by else ""
    share = f"n estimated {as_percent(row['estimate'], released)}{_percents(row, released)}"
    by = f"by {words.at_time(row['at'], released)}{where}.{in_groups(released)}"
    if rows.is_empty():  # the quartile is not among the rows, and may well be reached
        return f"A{share} pass {by}"
    is_reached = rows["estimate"].count() > 0
    known = "while enough learners are at risk" if is_reached else "in the time observed"
    return f"Fewer than a quarter pass {known}: a{share} {by}"


def _quantiles(rows: pl.DataFrame, reached: pl.DataFrame, whom: str, released: Released) -> str:
    low, high = reached.row(0, named=True), reached.row(-1, named=True)
    first = f"{whom} of the learners pass {_within(low, released)}"
    if not released.by:
        return f"{first}."
    text = f"{first} in {low['_name']}"
    if reached.height > 1:
        text += f", {_within(high, released)} in {high['_name']}"
    others = rows.filter(pl.col("estimate").is_null())
    fewer = others.filter(pl.col("status") == SHOWN, pl.col("n_learners") > 0).height
    hidden_groups, late = others.height - fewer, rows.height - others.height - reached.height
    text += f". In {plural(fewer, 'group')} fewer have passed so far" if fewer else ""
    text += f". In {plural(late, 'group')} too few are at risk by then" if late else ""
    text += f". For {plural(hidden_groups, 'group')} this cannot be shown" if hidden_groups else ""
    return f"{text}."


def cumulative_incidence(released: Released) -> str:
    """Say what share reaches each end."""
    value = "cumulative_incidence"
    known = _known(released, value)
    if not known:
        return words.too_few(released)
    day = curves.common_day([part for _, part in known], value, released.schema.time)
    total, seen = released.frame.select(*released.by, pl.lit(0)).n_unique(), len(known)
    known = [(name, part) for name, part in known if curves.end(part, value) >= day]
    left = f"{_shorter(seen - len(known))}{hidden(total, seen)}{_unseen(released)}"
    by_day = f"By {words.at_time(day, released)}, "
    phrases = []
    for end, named in naming.ends(known[0][1]["end"]).items():
        of_end = [(name, part.filter(end=end)) for name, part in known]
        left_in = [(name, part) for name, part in of_end if part.height]  # after filtering
        phrases.append(_reaching(named, left_in, day, released))
    if len(known) > 1:
        later = words.formed_later(released.by)
        return f"{by_day}estimated shares are: {'; '.join(phrases)}.{left}{later}"
    phrases.sort(key=lambda phrase: phrase.startswith("fewer"))
    estimated = "" if phrases[0].startswith("fewer") else "an estimated "
    return f"{by_day}{estimated}{listed(phrases)}.{left}"


def _reaching(named: str, of_end: Sequence[Named], day: float, released: Released) -> str:
    """Write what share has reached an end by a day, in the groups with the lowest and highest."""
    value, few = "cumulative_incidence", f"fewer than {released.min_n}"
    where = _where(of_end, released)
    shares = [
        (as_percent(share, released), name, _bounds(part, day, released, value))
        for share, name, part in _told(of_end, value, day)
    ]
    if len(of_end) == 1:
        share, bounds = (shares[0][0], shares[0][2]) if shares else (few, "")
        return f"{share} end as {named}{where}{bounds}"
    if not shares:
        return f"{named} {few}{where}"
    (low, lowest, least), (high, highest, most) = shares[0], shares[-1]
    text = f"{named} from {low} in {lowest}{least} to {high} in {highest}{most}"
    if len(shares) == 1:
        text = f"{named} {low} in {lowest}{least}"
    others = len(of_end) - len(shares)
    return f"{text}, {few} in {plural(others, 'other group')}" if others else text


def nelson_aalen(released: Released) -> str:
    """Say how high the cumulative hazard gets."""
    known = _known(released, "cumulative_hazard")
    if not known:
        return words.too_few(released)
    value = "cumulative_hazard"
    phrases = []
    for name, part in known[:6]:
        day = curves.end(part, value)
        reached = words.number(curves.height(part, value, day) or 0.0)
        low, high = (curves.height(part, end, day) for end in ("ci_low", "ci_high"))
        ends = words.written_interval(low, high, words.number)
        reached += words.in_brackets(ends, released)
        where = f" in {name}" if released.by else ""
        phrases.append(f"{reached} by {words.at_time(day, released)}{where}")
    return f"The cumulative hazard of passing reaches {listed(phrases)}.{in_groups(released)}"


def hazard(released: Released) -> str:
    """Say when learners are most likely to pass."""
    peaks = [
        (peak, name)
        for name, part in _known(released, "hazard")
        if (peak := curves.peak(part)) is not None
    ]
    if not peaks:
        return words.too_few(released)
    (first, early), (last, late) = min(peaks), max(peaks)
    unit = words.unit(released)
    likely = f"Learners who have not yet passed are most likely to pass around {unit}"
    if len(peaks) == 1:
        where = f" in {early}" if released.by else ""
        return f"{likely} {first:,.0f}{where}.{in_groups(released)}"
    text = f"{likely} {first:,.0f} in {early}, around {unit} {last:,.0f} in {late}."
    return f"{text}{in_groups(released)}"


def exclusions(released: Released) -> str:
    """Say how many learners have no time to pass, by reason."""
    phrases = [
        f"{'about ' if released.by else ''}{n:,} ({reason})"
        for reason, n in released.frame.group_by("reason", maintain_order=True)
        .agg(pl.col("n_excluded").sum())
        .iter_rows()
        if n
    ]
    if phrases:
        return f"Left out of the time to pass: {listed(phrases)}."
    if released.min_n is None:
        return "Nobody is left out of the time to pass."
    return f"Fewer than {released.min_n} learners are left out of the time to pass for any reason."


def _known(released: Released, value: str) -> list[Named]:
    """Return the groups whose curves can be shown, with their names."""
    released = curves.from_the_start(released)
    frame = naming.of_rows(released)
    # A released curve without a step says no more than that few have passed.
    told = frame if released.min_n is None else frame.filter(pl.col("duration") > 0)
    seen = set(told.filter(pl.col(value).is_not_null())["_name"])
    parts = ((part["_name"][0], part) for part in curves.parts(frame, released.by) if part.height)
    return [(name, part) for name, part in parts if name in seen]


def as_percent(share: float, released: Released) -> str:
    """Write an estimated share, with a decimal only if it is exact."""
    return percent(share, decimal=released.min_n is None)


def _percents(row: Row, released: Released) -> str:
    write = partial(percent, decimal=released.min_n is None, plain=True)
    return words.in_brackets(words.written_interval(row["ci_low"], row["ci_high"], write), released)


def _within(row: Row, released: Released) -> str:
    estimate = words.within(row["estimate"], released)
    ends = words.written_interval(row["ci_low"], row["ci_high"], words.days)
    return f"{estimate}{words.in_brackets(ends, released)}"


def _unseen(released: Released) -> str:
    text = " Learners not yet observed for that long are accounted for."
    return text + in_groups(released)
