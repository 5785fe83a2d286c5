"""Two studies side by side: what moved between them, to the bit or by more than matters.

It may know results, findings and claims; it shares the page with the reports.
"""
