"""Results: a frame that knows its table and its groups, and what may be shown of it."""
