"""The sandbox's faults: broken responses and bodies on request."""
