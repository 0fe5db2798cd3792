"""Proximal policy optimisation over sequences of choices: the network, and how it learns."""

from nni.algorithms.hpo._ppo.learner import Learner, PpoSettings, Trajectory
from nni.algorithms.hpo._ppo.policy import Decision, Policy

__all__ = ["Decision", "Learner", "Policy", "PpoSettings", "Trajectory"]
