"""`tk.sandbox`: an embedded platform to try everything on."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.config import platform_settings, settings
from toolkit.errors import ConfigurationError
from toolkit.extras import extra
from toolkit.loading.platform import Platform
from toolkit.sandbox.learners.oulad import Oulad
from toolkit.sandbox.learners.records import Source
from toolkit.sandbox.learners.simulation import Simulation
from toolkit.sandbox.learners.truth import Truth
from toolkit.schemas.arguments import a_path, as_given
from toolkit.schemas.moments import moment

if TYPE_CHECKING:  # importing it would import a web server
    from toolkit.sandbox.faults.catalogue import Behaviour


class SandboxPlatform(Platform):
    """A platform served from this process; see `sandbox`. A `with` block closes it.

    Attributes:
        token: Its temporary bearer token.
        label: What the data are, such as "sandbox: 5,000 simulated learners (seed 7)".
        clock: The platform's present (UTC), as in its `Date` header.
        truth: The model the learners were drawn from; None for real learners and late upgrades.
        variables: Settings with which `connect_or_sandbox` serves the same data, if there are any.
        remark: How data that do not fit the platform's format were converted, if any, with counts.
    """

    def __init__(
        self,
        source: Source,
        behaviour: Behaviour,
        *,
        token: str | None = None,
        port: int = 0,
        variables: dict[str, str] | None = None,
    ) -> None:
        with extra("sandbox"):
            from toolkit.sandbox.http.app import create_app
            from toolkit.sandbox.http.middleware import add_fault
            from toolkit.sandbox.http.server import Server
        self.token = secrets.token_urlsafe() if token is None else token
        self.label = f"sandbox: {source.label}"
        self.clock: datetime = source.clock.replace(tzinfo=UTC)
        self.truth: Truth | None = source.truth
        self.remark: str | None = source.remark
        self.variables = variables
        self._source = source
        app = create_app(source, self.token, behaviour.framing)
        for fault in behaviour.faults:
            add_fault(app, fault)
        self._server = Server(
            app, source.clock, port=port, close_delimited=behaviour.close_delimited
        )
        super().__init__(platform_settings(self._server.base_url, self.token), source=self.label)

    def earlier(self, clock: datetime) -> SandboxPlatform:
        """Start another sandbox with the same learners at an earlier moment.

        Args:
            clock: The moment; without a zone, in UTC.

        Raises:
            ConfigurationError: The moment is not after the simulated platform opened, or is later
                than this one's clock.
            ArgumentError: It is not a moment.
        """
        from toolkit.sandbox.faults.catalogue import Behaviour

        then = moment(clock, name="clock")
        if then > self.clock:
            raise ConfigurationError(
                f"the moment must be at most {self.clock:%Y-%m-%d}, the platform's present, not "
                f"{then:%Y-%m-%d}"
            )
        source = self._source.earlier(then.replace(tzinfo=None))
        return SandboxPlatform(source, Behaviour())

    def close(self) -> None:
        """Close the connections and stop the server; a second call does nothing."""
        super().close()
        self._server.stop()

    def __repr__(self) -> str:
        return f"<{self.label} at {self.base_url}>"


def sandbox(
    learners: int = 5_000,
    seed: int = 7,
    *,
    oulad: str | Path | None = None,
    late_upgrades: bool = False,
    faults: str | Iterable[str] | None = None,
    token: str | None = None,
    port: int = 0,
) -> SandboxPlatform:
    """Start an embedded platform: a real HTTP server on loopback, in a thread of this process.

    It stops at the end of the `with` block, on `close()`, or when nothing refers to it any more.

    Args:
        learners: How many learners to simulate, 1 to 10 million.
        seed: The same seed gives the same bytes.
        oulad: A folder of OULAD tables (Parquet or the published CSV), to serve its real learners
            instead of simulated ones.
        late_upgrades: All simulated learners enroll as audit, and some upgrade later, many after
            they have passed. The mode has no effect on passing: a difference between the modes is
            bias, to try methods on.
        faults: Faults to produce, such as "slow:0.1" or ["rate-limit:2", "gzip"]; the module
            `toolkit.sandbox.faults.catalogue` lists them.
        token: The bearer token to require; by default a random one.
        port: The port; by default a free one.

    Raises:
        ConfigurationError: An argument is invalid, a fault does not exist, or the folder
            lacks a table.

    Examples:
        >>> import toolkit as tk
        >>> with tk.sandbox(learners=500) as platform:
        ...     platform.label
        'sandbox: 500 simulated learners (seed 7)'
    """
    with extra("sandbox"):
        from toolkit.sandbox.faults.catalogue import read_faults
    if oulad is not None and not isinstance(oulad, str | PathLike):
        raise ConfigurationError(f"oulad must be a folder, not {as_given(oulad)}")
    behaviour = read_faults(faults)
    folder = None if oulad is None else a_path(oulad, name="oulad")
    source: Source = (
        Simulation(learners, seed, late_upgrades=late_upgrades) if folder is None else Oulad(folder)
    )
    variables = {
        "SO2_OULAD": "" if folder is None else str(folder.resolve()),
        "SO2_SANDBOX_LEARNERS": str(learners),
        "SO2_SANDBOX_SEED": str(seed),
    }
    return SandboxPlatform(
        source,
        behaviour,
        token=token,
        port=port,
        variables=None if faults or late_upgrades else variables,
    )


def sandbox_as_set(
    learners: int | None = None,
    seed: int | None = None,
    *,
    oulad: str | Path | None = None,
    faults: str | None = None,
    port: int = 0,
) -> SandboxPlatform:
    """Start the sandbox with the learners of the arguments, else of the settings."""
    chosen = settings()
    if oulad is None and learners is None and seed is None:
        oulad = chosen.oulad
    return sandbox(
        chosen.sandbox_learners if learners is None else learners,
        chosen.sandbox_seed if seed is None else seed,
        oulad=oulad,
        faults=faults,
        port=port,
    )
