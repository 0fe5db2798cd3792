"""Conformance suites: what every tuner, assessor, … must do. Our own run through them; run yours, too."""
