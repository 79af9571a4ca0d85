"""Reports, and the notebooks they are made of."""

from .key_figures import key_figures as key_figures
from .library import copy_notebooks as copy_notebooks
from .report import Report as Report
from .report import write_report as write_report
