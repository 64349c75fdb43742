"""`python -m dev.dashboard` writes the dashboard's JSON, and the table of its panels."""

from dev.dashboard.files import JSON, PAGE, as_json, written

if __name__ == "__main__":
    JSON.write_text(as_json())
    PAGE.write_text(written(PAGE.read_text()))
