"""Reads workbooks in bounded memory: workbook, then sheet, strings, styles; archive and parsing."""
