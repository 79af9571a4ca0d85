"""The sandbox's faults: broken answers and bodies on request."""
