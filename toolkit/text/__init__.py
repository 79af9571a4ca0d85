"""Text: numbers in words, tables for reading, narratives."""
