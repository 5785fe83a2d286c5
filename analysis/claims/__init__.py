"""Claims: a paired comparison, its row in `claims.json`, and the sentence that follows from the row.

It may know findings and statistics; it draws nothing.
"""
