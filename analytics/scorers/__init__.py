"""Scorers: one definition of every figure that a model is judged by.

Pure functions of labels and results. A missing score is no alarm and not anomalous: the caller
says so before, no value here may be NaN. Left out on purpose, because they say nothing:
point-adjusted F1 (a random score reaches 0.86 with it), the best F1 over all thresholds, accuracy
of unbalanced classes.
"""
