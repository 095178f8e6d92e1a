"""The gateway's database (New API, One API) as both programs see it."""
