"""Reports, the notebooks they are made of, and the tables of a paper."""

from .key_figures import key_figures as key_figures
from .library import copy_notebooks as copy_notebooks
from .report import Report as Report
from .report import write_report as write_report
from .sensitivity import sensitivity as sensitivity
from .tables import table_one as table_one
