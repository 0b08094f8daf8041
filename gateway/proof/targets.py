"""What each figure is to reach: gates that must hold, goals, and the best that is published."""

from collections.abc import Mapping
from typing import Final

from gateway.proof.rows import Better, Target

HIGHER, LOWER, NEAR = Better.HIGHER, Better.LOWER, Better.NEAR

TARGETS: Final[Mapping[tuple[str, str], Target]] = {
    ("skab", "edge-F1"): Target(gate=0.80, goal=0.90, published=0.77, published_by="Conv-AE"),
    ("skab", "false edges"): Target(better=LOWER, goal=3, published=6, published_by="Conv-AE"),
    ("skab", "false alarms per hour"): Target(better=LOWER, published=2.0, published_by="Conv-AE"),
    ("skab", "F1 of rows"): Target(goal=0.87, published=0.78, published_by="Conv-AE"),
    ("skab", "FAR %"): Target(
        better=LOWER, gate=20, goal=12, published=13.55, published_by="Conv-AE"
    ),
    ("skab", "MAR %"): Target(better=LOWER, goal=15, published=28.02, published_by="Conv-AE"),
    ("skab", "NAB of changes"): Target(goal=40, published=32.42, published_by="MSCRED"),
    ("skab", "delay s, median"): Target(
        better=LOWER, goal=35, published=41, published_by="best of the published"
    ),
    ("skab", "delay s, p90"): Target(better=LOWER),
    ("nab", "standard, corpus threshold"): Target(
        gate=58, goal=68, published=74.9, published_by="ARTime"
    ),
    ("nab", "low FP rate, corpus threshold"): Target(published=67.0, published_by="CAD OSE"),
    ("nab", "low FN rate, corpus threshold"): Target(published=80.4, published_by="ARTime"),
    ("nab", "standard, threshold fixed"): Target(goal=60),
    ("nab", "low FP rate, threshold fixed"): Target(),
    ("nab", "low FN rate, threshold fixed"): Target(),
    ("nab", "µs a point"): Target(better=LOWER, goal=20),
    ("nab", "kB a tag"): Target(better=LOWER, goal=64),
    ("smd", "VUS-PR"): Target(gate=0.62, goal=0.70, published=0.47, published_by="TranAD"),
    ("smd", "top-3 attribution"): Target(goal=0.80),
    ("smap", "VUS-PR, all channels"): Target(
        gate=0.30, goal=0.42, published=0.363, published_by="k-means, on 23 channels"
    ),
    ("smap", "VUS-PR, published ones"): Target(
        gate=0.30, goal=0.42, published=0.363, published_by="k-means"
    ),
    ("tep", "FDR %"): Target(gate=85, goal=95, published=94, published_by="CVA"),
    ("tep", "FAR %"): Target(better=LOWER, gate=2.0, goal=1.5),
    ("tep", "delay min, median"): Target(better=LOWER, goal=15),
    ("cmapss", "FD001 RMSE"): Target(
        better=LOWER, gate=12.2, goal=10.3, published=10.3, published_by="best published"
    ),
    ("cmapss", "FD001 NASA score"): Target(
        better=LOWER, goal=165, published=169, published_by="STAR"
    ),
    ("cmapss", "FD001 MAE"): Target(better=LOWER),
    ("cmapss", "FD001 coverage %"): Target(better=NEAR, goal=90, tolerance=2),
    ("cmapss", "FD001 width"): Target(better=LOWER, goal=32),
    ("cmapss", "FD002 RMSE"): Target(
        better=LOWER, gate=12.6, goal=11.3, published=13.3, published_by="TTSNet"
    ),
    ("cmapss", "FD002 NASA score"): Target(
        better=LOWER, goal=520, published=784, published_by="STAR"
    ),
    ("cmapss", "FD002 MAE"): Target(better=LOWER),
    ("cmapss", "FD002 coverage %"): Target(better=NEAR, goal=90, tolerance=2),
    ("cmapss", "FD002 width"): Target(better=LOWER, goal=32),
    ("cmapss", "ms a row"): Target(better=LOWER, goal=0.05),
    ("femto", "PHM score"): Target(published=0.31, published_by="winner of 2012, on 11 others"),
    ("femto", "onsets in good time, of 6"): Target(goal=6),
    ("femto", "false onsets, most in a life"): Target(better=LOWER, goal=1),
    ("femto", "RUL error %, last fifth"): Target(better=LOWER, goal=25),
    ("cwru", "balanced accuracy"): Target(gate=0.75, goal=0.90),
    ("cwru", "macro F1"): Target(),
    ("cwru", "macro AUROC"): Target(published=0.911, published_by="Rosa et al. 2024, other split"),
    ("cwru", "normal windows without a fault"): Target(),
    ("cwru", "ms a window"): Target(better=LOWER, goal=1.0),
    ("budget", "anomaly, ms a row of 40 tags"): Target(better=LOWER, goal=0.2),
    ("budget", "anomaly, kB of the bundle"): Target(better=LOWER, goal=5_000),
    ("budget", "anomaly, kB remembered"): Target(better=LOWER),
    ("budget", "anomaly, ms for 1,000 assets"): Target(better=LOWER, goal=20),
}
"""By set and metric. NASA score and RMSE: the truth is capped at 125 cycles."""


def target(set_name: str, metric: str) -> Target:
    """Return what a figure is to reach; every figure has an entry."""
    return TARGETS[set_name, metric]
