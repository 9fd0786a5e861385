"""What a sweep says: the front of its cells, which of them to take, and both as a page, as Markdown and as CSV."""
