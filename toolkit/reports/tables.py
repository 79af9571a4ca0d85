"""The tables of a paper that are counted where the rows are, as names of this room."""

from toolkit.analyses.table_one import table_one as table_one
