"""The public API: every name here, and no other, is public."""

from .charts.theme import use_offline_charts as use_offline_charts
from .disclosure import protect as protect
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
from .person_course import match_counts as match_counts
from .person_course import person_course as person_course
from .privacy import pseudonymize as pseudonymize
from .sandbox.start import SandboxPlatform as SandboxPlatform
from .sandbox.start import sandbox as sandbox
from .survival import kaplan_meier as kaplan_meier
from .survival import passed_share as passed_share
from .survival_tests import logrank as logrank
