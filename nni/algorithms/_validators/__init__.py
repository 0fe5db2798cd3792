"""What class arguments and search spaces the built-in algorithms take, a module per algorithm.

Standard library only: ``nnictl`` runs these before anything starts, and the algorithms themselves once more.
"""
