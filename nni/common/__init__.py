"""Helpers without any nni import: json, durations, ids, logs, paths, versions."""
