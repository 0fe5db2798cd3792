"""The command line: a client of ``nni.experiment`` and of the registry. Each command imports what it needs itself."""
