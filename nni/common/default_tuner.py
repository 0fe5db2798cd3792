"""What searches where a configuration names neither a tuner nor an advisor."""

DEFAULT_TUNER = "Auto"
