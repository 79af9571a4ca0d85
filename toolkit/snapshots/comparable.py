"""Which records of two snapshots can be compared."""

from __future__ import annotations

from urllib.parse import urlsplit

from toolkit.config import is_loopback
from toolkit.errors import SnapshotError
from toolkit.loading.platform import API_PATH
from toolkit.snapshots.snapshot import Snapshot


def courses_of_both(earlier: Snapshot, later: Snapshot) -> list[str] | None:
    """Return the courses that were requested for both snapshots; None if all were, for both.

    The records of another course are missing in one snapshot because nobody asked for them.
    """
    _require_order(earlier, later)
    _require_same_names(earlier, later)
    first, second = earlier.manifest.course_id, later.manifest.course_id
    if first is None or second is None:
        return first if second is None else second
    both = [course for course in first if course in second]
    if not both:
        raise SnapshotError(
            f"{earlier.folder} and {later.folder} hold different courses, so there is nothing to "
            "compare. Compare snapshots of the same courses."
        )
    return both


def remarks(earlier: Snapshot, later: Snapshot) -> str:
    """Say what a reader of a comparison must know: parts that were left out, and two platforms."""
    said = []
    if set(earlier.manifest.course_id or ()) != set(later.manifest.course_id or ()):
        said.append("Of the courses that were requested for both snapshots.")
    first, second = platform_of(earlier), platform_of(later)
    if first != second:
        said.append(
            f"The snapshots are of two platforms, {first} and {second}: unless it moved, learners "
            "with the same username may be different people."
        )
    return " ".join(said)


def platform_of(snapshot: Snapshot) -> str:
    """Return the address of a snapshot's platform; of one on this machine, its name.

    A sandbox has another port each time.
    """
    received = snapshot.manifest.resources["grades"].received
    parts = urlsplit(received[0].url if received else "")
    if not parts.netloc or is_loopback(parts.hostname):
        return snapshot.source.partition(", ")[2]  # without the date
    return f"{parts.netloc}{parts.path}".removesuffix(f"{API_PATH}grades")


def _require_order(earlier: Snapshot, later: Snapshot) -> None:
    if earlier.as_of > later.as_of:
        raise SnapshotError(
            f"{earlier.folder} was given as the earlier snapshot, but is of "
            f"{earlier.as_of:%Y-%m-%d %H:%M}, and {later.folder} of {later.as_of:%Y-%m-%d %H:%M}. "
            "Swap them."
        )


def _require_same_names(earlier: Snapshot, later: Snapshot) -> None:
    first, second = earlier.manifest, later.manifest
    names = [(one.identities, one.key_fingerprint) for one in (first, second)]
    is_discarded = names[0] == ("pseudonymous", None)  # the key, which was another each time
    if first != second and (is_discarded or names[0] != names[1]):
        raise SnapshotError(
            f"{earlier.folder} and {later.folder} name learners differently (pseudonym keys "
            f"{first.key_fingerprint or 'none'} and {second.key_fingerprint or 'none'}), so no "
            "learner can be matched. Compare snapshots taken under the same key."
        )
