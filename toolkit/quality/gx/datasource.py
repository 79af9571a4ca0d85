"""The Polars data source of Great Expectations.

After this module is imported a GX context has `context.data_sources.add_polars(…)`, whose assets
take a Polars DataFrame or LazyFrame as their batch.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import polars as pl

from toolkit.quality.gx.engine import PolarsExecutionEngine, register_metrics
from toolkit.quality.gx.library import (
    Batch,
    BatchRequest,
    BuildBatchRequestError,
    DataAsset,
    Datasource,
    IDDict,
    LegacyBatchDefinition,
    RuntimeDataBatchSpec,
    make_batch_identifier,
)
from toolkit.quality.gx.rows import Rows


class PolarsFrameAsset(DataAsset[Any, Any]):
    """An asset whose batches are Polars frames, passed for validation."""

    type: Literal["polars_frame"] = "polars_frame"

    def test_connection(self) -> None:
        """There is nothing to connect to."""

    def get_batch_parameters_keys(self, partitioner: Any = None) -> tuple[str, ...]:  # noqa: ARG002
        """Return the one parameter of a batch."""
        return ("dataframe",)

    def get_batch_identifiers_list(self, batch_request: BatchRequest[Any]) -> list[dict[str, Any]]:
        """Return one batch per request."""
        return [IDDict(batch_request.options)]

    def build_batch_request(
        self, options: Any = None, batch_slice: Any = None, partitioner: Any = None
    ) -> BatchRequest[Any]:
        """Return a request for the whole of `options["dataframe"]` as a batch."""
        frame = (options or {}).get("dataframe")
        if not isinstance(frame, pl.DataFrame | pl.LazyFrame | Rows) or len(options) != 1:
            raise BuildBatchRequestError(message="options must be {'dataframe': a Polars frame}")
        if batch_slice is not None or partitioner is not None:
            raise BuildBatchRequestError(message="a Polars frame is validated as a whole")
        return BatchRequest(
            datasource_name=self.datasource.name, data_asset_name=self.name, options=options
        )

    def get_batch(self, batch_request: BatchRequest[Any]) -> Batch:
        """Return the frame of the request as a batch."""
        spec = RuntimeDataBatchSpec(batch_data=batch_request.options["dataframe"])
        data, markers = self.datasource.get_execution_engine().get_batch_data_and_markers(spec)
        return Batch(
            datasource=self.datasource,
            data_asset=self,
            batch_request=batch_request,
            data=data,
            metadata=self._get_batch_metadata_from_batch_request(
                batch_request=batch_request, ignore_options=("dataframe",)
            ),
            batch_markers=markers,
            batch_spec=spec,
            batch_definition=LegacyBatchDefinition(
                datasource_name=self.datasource.name,
                data_connector_name="fluent",
                data_asset_name=self.name,
                batch_identifiers=make_batch_identifier(batch_request.options),
                batch_spec_passthrough=None,
            ),
        )


Engine = type[PolarsExecutionEngine]
AssetTypes = list[type[DataAsset[Any, Any]]]


class PolarsDatasource(Datasource[PolarsFrameAsset, PolarsExecutionEngine]):
    """A data source of Polars frames: `context.data_sources.add_polars(name, identities=[…])`.

    Results show the values of `identities`, columns that name a person, as pseudonyms.
    """

    asset_types: ClassVar[AssetTypes] = [PolarsFrameAsset]

    type: Literal["polars"] = "polars"
    assets: list[PolarsFrameAsset] = []  # noqa: RUF012  (pydantic copies it)
    identities: list[str] = []  # noqa: RUF012

    @property
    def execution_engine_type(self) -> Engine:
        """Return the engine that computes the metrics."""
        return PolarsExecutionEngine

    def test_connection(self, test_assets: bool = True) -> None:  # noqa: FBT001, FBT002
        """There is nothing to connect to."""

    def add_frame_asset(self, name: str) -> PolarsFrameAsset:
        """Add an asset of this name."""
        asset: PolarsFrameAsset = self._add_asset(PolarsFrameAsset(name=name))
        return asset


register_metrics()
