"""What clients may ask of an experiment; it is asked of stopped ones too, so it lives in a lower room."""

from nni.experiment.columns import changed_columns, found_columns
from nni.experiment.curves import curves
from nni.experiment.queries import Queries, Standing, metric_record

__all__ = ["Queries", "Standing", "changed_columns", "curves", "found_columns", "metric_record"]
