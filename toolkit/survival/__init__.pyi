"""The analyses of the time to pass."""

from .bridge import SurvivalData as SurvivalData
from .bridge import to_survival as to_survival
from .competing_risks import cumulative_incidence as cumulative_incidence
from .competing_risks import gray_test as gray_test
from .differences import milestone_difference as milestone_difference
from .differences import rmst_difference as rmst_difference
from .durations import exclusions as exclusions
from .durations import time_to_pass as time_to_pass
from .hazards import nelson_aalen as nelson_aalen
from .hazards import smoothed_hazard as smoothed_hazard
from .kaplan_meier import kaplan_meier as kaplan_meier
from .logrank import logrank as logrank
from .logrank import logrank_pairs as logrank_pairs
from .periods import person_period as person_period
from .summary import survival_summary as survival_summary
