"""The mathematics of the assessor Curvefitting: learning curves and the ensemble of them."""

from nni.algorithms.hpo._curvefitting.modelfactory import CurveModel, Prediction

__all__ = ["CurveModel", "Prediction"]
