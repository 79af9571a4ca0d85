"""Loading: from an HTTP body to a typed frame, with everything unreadable counted."""
