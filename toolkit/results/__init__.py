"""Results: frames that know their table and groups, and what may be shown of them."""
