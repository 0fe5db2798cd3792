"""A trial that wants x to be 1."""

import nni

parameters = {"x": 0.0}  # for a run by hand
parameters.update(nni.get_next_parameter())
nni.report_final_result(-((parameters["x"] - 1) ** 2))
