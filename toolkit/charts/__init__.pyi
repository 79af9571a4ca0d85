"""Charts: a released result becomes an `alt.Chart`. Nothing here computes a statistic."""

from .theme import PALETTE as PALETTE
from .theme import finish as finish
from .theme import use_offline_charts as use_offline_charts
