"""Reads tables from CSV and XLSX files as streams, whoever made them.

Reading order: rows, table (what sort of file it is), then separated, encodings and separators for
CSV; workbook, archive, parsing, sheet, styles and strings for XLSX; joined, which makes one file of
several documents; and numbers and dates, which read what people write.

Whatever the file is, memory is bounded: no more of it is held than one row and some tables.
"""
