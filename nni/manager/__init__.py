"""The manager of one experiment: what it decides (pure), and the engine that carries it out."""
