"""The sandbox's learners: simulated, or read from OULAD."""
