"""The public API: every name here, and no other, is public."""

from .charts.cohort_charts import chart_cohort_progress as chart_cohort_progress
from .charts.distribution_charts import (
    chart_completion_distribution as chart_completion_distribution,
)
from .charts.distribution_charts import chart_grade_distribution as chart_grade_distribution
from .charts.funnel_charts import chart_completion_funnel as chart_completion_funnel
from .charts.outcome_charts import chart_outcomes as chart_outcomes
from .charts.survival_charts import chart_kaplan_meier as chart_kaplan_meier
from .charts.tables import show_table as show_table
from .charts.theme import use_offline_charts as use_offline_charts
from .cohorts import cohort_progress as cohort_progress
from .comparisons import Comparison as Comparison
from .comparisons import compare_groups as compare_groups
from .disclosure import protect as protect
from .distributions import completion_distribution as completion_distribution
from .distributions import grade_distribution as grade_distribution
from .durations import exclusions as exclusions
from .durations import time_to_pass as time_to_pass
from .errors import AuthenticationError as AuthenticationError
from .errors import ConfigurationError as ConfigurationError
from .errors import DisclosureError as DisclosureError
from .errors import QualityError as QualityError
from .errors import ReportError as ReportError
from .errors import SchemaError as SchemaError
from .errors import SnapshotError as SnapshotError
from .errors import ToolkitError as ToolkitError
from .errors import TransportError as TransportError
from .errors import WireFormatError as WireFormatError
from .key_figures import key_figures as key_figures
from .narratives import narrate as narrate
from .outcomes import completion_funnel as completion_funnel
from .outcomes import outcomes as outcomes
from .paths import LearnerPaths as LearnerPaths
from .paths import learner_paths as learner_paths
from .person_course import match_counts as match_counts
from .person_course import person_course as person_course
from .privacy import pseudonymize as pseudonymize
from .quality import QualityReport as QualityReport
from .quality import check as check
from .sandbox.start import SandboxPlatform as SandboxPlatform
from .sandbox.start import sandbox as sandbox
from .survival import kaplan_meier as kaplan_meier
from .survival import passed_share as passed_share
from .survival_summary import survival_summary as survival_summary
from .survival_tests import logrank as logrank
