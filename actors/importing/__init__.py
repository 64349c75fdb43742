"""Makes charges of the rows of a table.

Reading order: header (which column is what), charges (a row becomes a charge, or what is wrong with
it), chunks (the file is cut into pieces), copying, bad_rows.
"""
