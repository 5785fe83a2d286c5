"""What the results of a study say of each cell: readings, winners, margins.

It may know results and statistics; it makes no claim and draws nothing.
"""
