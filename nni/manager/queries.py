"""What clients may ask of an experiment; it is asked of stopped ones too, so it lives in a lower room."""

from nni.experiment.queries import Queries, Standing, metric_record

__all__ = ["Queries", "Standing", "metric_record"]
