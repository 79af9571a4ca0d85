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
        "Counts under 10 learners and what is computed from them, and a second cell where a total "
        "would give the first away.",
    ),
    (
        "Privacy",
        "The report is written from aggregated tables. Before it is written, every output is "
        "searched for the usernames and addresses in the data; one find stops it.",
    ),
]
