"""A result as a page: charts, photos, style."""
