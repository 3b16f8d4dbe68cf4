#!/usr/bin/env python3
"""Times a simple combination of univariate models (Petropoulos and Svetunkov, 2020) by statsforecast: reads series from
standard input, one a line (periods in a year, then the values), and prints the milliseconds of CPU time that one takes.

    scum.py HORIZON
"""
import sys
import time

import numpy as np
from statsforecast.models import AutoARIMA, AutoCES, AutoETS, DynamicOptimizedTheta

MODELS = (AutoETS, AutoARIMA, AutoCES, DynamicOptimizedTheta)


def forecast(m, values, horizon):
    return np.median([model(season_length=m).forecast(values, horizon)["mean"] for model in MODELS], axis=0)


def main():
    horizon = int(sys.argv[1])
    series = [(int(m), np.array(values, float)) for m, *values in map(str.split, sys.stdin)]
    # What is loaded or compiled at first use is not the models' work.
    forecast(*series[0], horizon)
    begun = time.process_time()
    for m, values in series:
        forecast(m, values, horizon)
    print((time.process_time() - begun) * 1e3 / len(series))


if __name__ == "__main__":
    main()
