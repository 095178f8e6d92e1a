"""A log table on its worst day: writers that dawdle, and somebody who watches every scrape."""
