"""Text: words for numbers, tables for reading, sentences."""
