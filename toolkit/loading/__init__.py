"""Loading: from an HTTP body to a typed frame; everything unreadable is counted."""
