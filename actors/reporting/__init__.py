"""What was invoiced in a period, read from one snapshot and written as CSV and XLSX."""
