"""Everything used of Great Expectations, including private names, imported in one place.

Its usage analytics are switched off before the first import, deprecation warnings from its own
code are silenced, and its redirection of all warnings into logging is undone. A new version that
lacks one of these names fails here, and a test says which.
"""

# ruff: noqa: E402, F401  (the precautions come first; other modules use the names)
import logging
import os
import warnings

os.environ["GX_ANALYTICS_ENABLED"] = "false"
_show = warnings.showwarning
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import great_expectations as gx
if warnings.showwarning is not _show:
    logging.captureWarnings(capture=False)

from great_expectations.constants import MAX_RESULT_RECORDS
from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
from great_expectations.core.batch import BatchData, BatchMarkers, LegacyBatchDefinition
from great_expectations.core.batch_spec import RuntimeDataBatchSpec
from great_expectations.core.expectation_suite import ExpectationSuite
from great_expectations.core.id_dict import BatchSpec, IDDict
from great_expectations.data_context.data_context.context_factory import project_manager
from great_expectations.data_context.data_context.ephemeral_data_context import EphemeralDataContext
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.datasource.fluent.batch_identifier_util import make_batch_identifier
from great_expectations.datasource.fluent.batch_request import BatchRequest
from great_expectations.datasource.fluent.interfaces import Batch, DataAsset, Datasource
from great_expectations.exceptions.exceptions import (
    BuildBatchRequestError,
    DataContextRequiredError,
    ExecutionEngineError,
    GreatExpectationsError,
    MetricResolutionError,
)
from great_expectations.execution_engine.execution_engine import ExecutionEngine
from great_expectations.expectations import metrics
from great_expectations.expectations.expectation import BatchExpectation, Expectation
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.expectations.metrics.metric_provider import MetricProvider
from great_expectations.expectations.registry import (
    _registered_metrics,
    get_expectation_impl,
    get_metric_kwargs,
    register_metric,
)
from great_expectations.expectations.row_conditions import (
    AndCondition,
    ComparisonCondition,
    Condition,
    NullityCondition,
    OrCondition,
    deserialize_row_condition,
)
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
from great_expectations.render.view.view import DefaultJinjaPageView
from great_expectations.validator.metric_configuration import (
    MetricConfiguration,
    MetricConfigurationID,
)
