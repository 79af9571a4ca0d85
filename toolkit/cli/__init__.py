"""The `so2` command. It never does what Python cannot: each command is a thin call of the API."""
