"""Charts: each turns a released result into an `alt.Chart`. None computes a statistic."""

from .explorer import course_explorer as course_explorer
from .theme import PALETTE as PALETTE
from .theme import finish as finish
from .theme import use_offline_charts as use_offline_charts
