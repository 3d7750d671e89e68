"""Loading, orchestration and publishing; `python -m orchestration` is the command line."""

import gc

# Dagster, dbt and Great Expectations make some million objects that stay. Python looks for garbage among the youngest
# after every 700, and among all again and again: a twentieth of a run, for nothing.
gc.set_threshold(50_000, 20, 20)
