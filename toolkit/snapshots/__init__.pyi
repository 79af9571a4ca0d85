"""Snapshots: take, open, list, compare and export."""

from .changes import Changes as Changes
from .changes import compare_snapshots as compare_snapshots
from .csv_files import export_csv as export_csv
from .csv_files import write_csv as write_csv
from .sharing import SharedExport as SharedExport
from .sharing import export_for_sharing as export_for_sharing
from .snapshot import Snapshot as Snapshot
from .snapshot import list_snapshots as list_snapshots
from .snapshot import open_earlier as open_earlier
from .snapshot import open_snapshot as open_snapshot
from .writer import take_snapshot as take_snapshot
