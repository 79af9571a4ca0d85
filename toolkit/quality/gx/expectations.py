"""The expectation that Great Expectations lacks for Polars frames: columns and their types."""

from __future__ import annotations

from typing import Any, ClassVar

from toolkit.quality.gx.library import BatchExpectation, ExecutionEngine


class ExpectTableColumnsToHaveTypes(BatchExpectation):
    """Expect the frame to have these columns, each in its Polars type.

    Other columns are allowed. `unexpected_count` is the number of columns that are missing or of
    another type; `details` names them and what was found in their place. `types` has the type's
    name by column, such as `{"percent_grade": "Float64"}`.
    """

    types: dict[str, str]

    metric_dependencies: ClassVar[tuple[str, ...]] = ("table.column_types",)
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id",)
    success_keys: ClassVar[tuple[str, ...]] = ("types",)

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG002  (GX's signature)
        execution_engine: ExecutionEngine[Any] | None = None,  # noqa: ARG002
    ) -> dict[str, Any]:
        found = {column["name"]: str(column["type"]) for column in metrics["table.column_types"]}
        wrong = {
            name: {"expected": expected, "found": found.get(name, "no such column")}
            for name, expected in self.types.items()
            if found.get(name) != expected
        }
        return {
            "success": not wrong,
            "result": {
                "element_count": len(self.types),
                "unexpected_count": len(wrong),
                "unexpected_percent": 100 * len(wrong) / len(self.types),
                "observed_value": sorted(wrong) or "as expected",
                "details": wrong,
            },
        }
