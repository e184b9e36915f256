"""A result as text: table, facts, Markdown, CSV."""
