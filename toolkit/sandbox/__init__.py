"""The embedded platform: the documented API on loopback, with simulated or real learners."""
