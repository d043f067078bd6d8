"""The specifications, a file for each group of parts."""
