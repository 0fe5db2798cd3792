"""The hyper-parameter optimisation algorithms, one module per documented class. Importing this imports none of them."""
