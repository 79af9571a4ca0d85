"""What the words of the report mean: told on its methods page."""

DEFINITIONS = [
    (
        "Enrollment",
        "One learner in one course. A learner in three courses is three enrollments. Every count "
        "of “learners” in a chart is a count of enrollments, unless it says otherwise.",
    ),
    ("Active", "A completion above 0 or a grade above 0."),
    ("Completed", "A completion of at least the stated share of the content, 80 % by default."),
    (
        "Passed",
        "The platform gives a passing letter grade now. The time to pass counts to the moment the "
        "platform recorded the pass.",
    ),
    (
        "Rate, interval",
        "A count divided by another that its name states, with Wilson's 95 % interval (1927).",
    ),
    (
        "Cohort",
        "Everybody who enrolled in the same month. Cohorts are compared at the same number of days "
        "after enrollment, and only by the members observed so long.",
    ),
    (
        "Time to pass",
        "Days from enrollment to the pass. Who has not passed is censored at the moment the data "
        "speak of. Left out, and counted by reason: no enrollment date, a pass before enrollment, "
        "a pass without a time.",
    ),
    (
        "Kaplan–Meier",
        "The product-limit estimate, events before censorings at ties, Greenwood's variance, "
        "log-log intervals. The median is the first time at which half have passed; its interval "
        "is Brookmeyer and Crowley's (1982). Groups are compared by the log-rank test.",
    ),
    (
        "Withheld",
        "A count of fewer than 10 learners, 0 included, and what is computed from it.",
    ),
    (
        "Rounded",
        "Every other count is rounded to a neighbouring multiple of 5, the nearer one more likely. "
        "The draw is keyed, so the same learners are rounded alike on every page and every night. "
        "Rates, intervals and curves are computed from rounded counts. A curve has a step only "
        "where 10 more learners have passed.",
    ),
    (
        "Privacy",
        "Before the report is written, every output is searched for the names, pseudonyms and "
        "addresses in the data, for learners' own records, and for figures that are not released; "
        "one find stops it.",
    ),
]
