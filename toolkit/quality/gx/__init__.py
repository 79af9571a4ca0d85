"""Great Expectations: the only place that imports it."""
