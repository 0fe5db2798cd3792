"""Which tuner is best? Runs tuners on tuning tasks, ranks them, and draws how they got there (HPO-420 … HPO-427).

``python -m nni.tools.hpo_benchmark --help`` says how; ``docs/hpo-benchmark.md`` what for.
"""
