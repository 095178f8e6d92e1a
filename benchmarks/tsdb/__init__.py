"""Writes blocks of Prometheus's database, a month of many series within a minute.

Neither promtool nor remote write can make the billions of samples that a scrape every 15 seconds
leaves of a large gateway in 30 days. Here series whose values are alike share their chunks: the
index is as large as in service, entry for entry, each chunk as long, and only the bytes of chunks
are there once instead of thousands of times.

Formats: tsdb/docs/format/ in Prometheus's sources.
"""
