"""The manager process: composition of store, decisions, training service, dispatcher, REST and pages."""
