"""From what a tool left behind to curves with cells and seeds: which tool it was, what a run stands for, what is asked.

Readers (`analysis.curves.sources`) give raw points; what becomes of points stands in `analysis.curves.points`.
"""
