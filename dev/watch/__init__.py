"""`make watch`: Prometheus on the demo's processes, and the dashboard drawn without Grafana.

The page reads the dashboard's JSON as it is shipped, and asks Prometheus what each panel asks. Read
__main__, then server, page and chart.
"""
