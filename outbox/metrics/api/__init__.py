"""What an API counts and measures, and the formats in which it answers a scrape."""
