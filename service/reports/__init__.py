"""Reports of what was invoiced. Read subject, kinds, requests, models, then routes and schemas."""
