"""An execution engine for Great Expectations that counts where the rows are.

GX asks an engine for metrics: a count of unexpected rows, examples of them, a column's maximum.
It asks for all metrics of a suite at once, since none registered here depends on another. One pass
over the frame computes the counts, another finds repeated keys (in Polars, by their hashes), and
only if some counts are not zero, further passes fetch examples. A LazyFrame is streamed; nothing
is converted to pandas.
"""

from __future__ import annotations

import re
import secrets
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from toolkit.quality.gx.conditions import MAP_METRICS, row_condition
from toolkit.quality.gx.library import (
    BatchData,
    BatchMarkers,
    Condition,
    ExecutionEngine,
    ExecutionEngineError,
    ExpectationConfiguration,
    MetricConfiguration,
    MetricConfigurationID,
    MetricProvider,
    MetricResolutionError,
    _registered_metrics,
    get_metric_kwargs,
    register_metric,
)
from toolkit.quality.gx.metrics import (
    COLUMN_METRICS,
    COUNTS,
    LISTS,
    NOT_OFFERED,
    TABLE_METRICS,
    Request,
    answer,
)
from toolkit.quality.gx.rows import Rows, every
from toolkit.release.keys import PseudonymKey
from toolkit.release.pseudonyms import pseudonyms

PSEUDONYM = re.compile(r"p_[0-9a-f]{32}")


class PolarsBatchData(BatchData):
    """A frame as GX passes it around."""

    def __init__(self, execution_engine: ExecutionEngine[Any], frame: Any) -> None:
        super().__init__(execution_engine)
        self.rows = frame if isinstance(frame, Rows) else Rows.of(frame)


class PolarsExecutionEngine(ExecutionEngine[nw.Expr]):
    """Computes GX's metrics on Polars frames, and on rows of other engines.

    Values of `identities`, columns that name a person, appear in results as pseudonyms.
    """

    def __init__(self, identities: Iterable[str] = (), **settings: Any) -> None:
        self._identities = frozenset(identities)
        self._key = PseudonymKey(secrets.token_bytes(32))
        self._answers: dict[MetricConfigurationID, Any] = {}
        super().__init__(**settings)

    def load_batch_data(self, batch_id: str, batch_data: Any) -> None:
        """Take a frame under the batch's id."""
        if isinstance(batch_data, pl.DataFrame | pl.LazyFrame | Rows):
            batch_data = PolarsBatchData(self, batch_data)
        self._answers = {}  # the id of a dataframe batch does not distinguish frames
        super().load_batch_data(batch_id=batch_id, batch_data=batch_data)

    def get_batch_data_and_markers(self, batch_spec: Any) -> tuple[PolarsBatchData, BatchMarkers]:
        """Return the frame of a batch specification, and when it was taken."""
        frame = batch_spec.batch_data
        batch_spec.batch_data = "PolarsFrame"  # GX writes the specification into the result
        taken = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        return PolarsBatchData(self, frame), BatchMarkers({"ge_load_time": taken})

    def resolve_metrics(
        self,
        metrics_to_resolve: Iterable[MetricConfiguration],
        metrics: dict[MetricConfigurationID, Any] | None = None,  # noqa: ARG002  (GX's signature)
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> dict[MetricConfigurationID, Any]:
        """Compute all of the metrics, in as few passes over each frame as they need."""
        wanted = list(metrics_to_resolve)
        by_batch: defaultdict[str | None, list[MetricConfiguration]] = defaultdict(list)
        for metric in wanted:
            if metric.id not in self._answers:
                by_batch[metric.metric_domain_kwargs.get("batch_id")].append(metric)
        failed: dict[MetricConfiguration, str] = {}
        for batch_id, of_batch in by_batch.items():
            batch = self._batch(batch_id)
            requests = [Request.of(metric) for metric in of_batch]
            answers = answer(batch.rows, requests, hide=self._hide)
            for metric, found in zip(of_batch, answers, strict=True):
                if isinstance(found, Exception):
                    failed[metric] = str(found)
                else:
                    self._answers[metric.id] = found
        if failed:
            reasons = "; ".join(sorted(set(failed.values())))
            raise MetricResolutionError(message=reasons, failed_metrics=tuple(failed))
        return {metric.id: self._answers[metric.id] for metric in wanted}

    def _hide(self, column: str, value: Any) -> Any:
        if column not in self._identities or value is None or PSEUDONYM.fullmatch(str(value)):
            return value
        return pseudonyms(pl.Series([str(value)]), self._key).item()

    def _batch(self, batch_id: str | None) -> PolarsBatchData:
        batches: dict[str, Any] = self.batch_manager.batch_data_cache
        batch = batches.get(batch_id or self.batch_manager.active_batch_data_id or "")
        if not isinstance(batch, PolarsBatchData):
            raise ExecutionEngineError(f"no Polars frame is loaded as batch {batch_id!r}")
        return batch

    def _clause(self, condition: Condition) -> nw.Expr:
        return every(row_condition(condition, self._batch(None).rows))

    _comparison_condition_to_filter_clause = _clause
    _nullity_condition_to_filter_clause = _clause
    _and_condition_to_filter_clause = _clause
    _or_condition_to_filter_clause = _clause


class _PolarsMetric(MetricProvider):
    """Tells GX's registry that our metrics depend on no other metric.

    The engine computes them in `resolve_metrics`, all at once; so there is no function.
    """

    @classmethod
    def get_evaluation_dependencies(
        cls,
        metric: MetricConfiguration,  # noqa: ARG003  (GX's signature)
        configuration: ExpectationConfiguration | None = None,  # noqa: ARG003
        execution_engine: ExecutionEngine[Any] | None = None,  # noqa: ARG003
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG003
    ) -> dict[str, MetricConfiguration]:
        """Return no other metric."""
        return {}


def register_metrics() -> None:
    """Register the metrics that the engine computes, under the keys GX gives them."""
    parts = (*COUNTS, *LISTS, *NOT_OFFERED)
    names = [f"{metric}.{part}" for metric in MAP_METRICS for part in parts]
    for name in (*TABLE_METRICS, *COLUMN_METRICS, *names):
        if name in _registered_metrics:
            keys = get_metric_kwargs(name)
            register_metric(
                metric_name=name,
                metric_domain_keys=keys["metric_domain_keys"],
                metric_value_keys=keys["metric_value_keys"],
                execution_engine=PolarsExecutionEngine,
                metric_class=_PolarsMetric,
                metric_provider=None,
            )
