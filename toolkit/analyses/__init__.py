"""Analyses: grouped counts where the data live, then exact statistics in Polars."""
