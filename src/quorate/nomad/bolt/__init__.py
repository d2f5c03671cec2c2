"""BoltDB files, read page by page and never written: metas, pages, trees of buckets."""
