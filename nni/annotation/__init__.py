"""Annotated trial code: string literals that say what to tune, turned into code and a search space (HPO-090 …)."""

from nni.annotation._directory import AnnotatedDirectory, is_annotated, read_directory
from nni.annotation._errors import AnnotationError, Problem
from nni.annotation._source import AnnotatedSource

__all__ = ["AnnotatedDirectory", "AnnotatedSource", "AnnotationError", "Problem", "is_annotated", "read_directory"]
