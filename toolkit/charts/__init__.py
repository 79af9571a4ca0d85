"""Result table → `alt.Chart`. Nothing here computes a statistic."""
