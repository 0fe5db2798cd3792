"""The trial runner: runs trials on the machine where it is, for a manager on another one.

Documented as TrialKeeper (PLT-316). It is sent to the other machine when it is needed, and needs nothing there but a
Python >= 3.8: every module here uses the standard library of that version only, and of ``nni.common`` what
`nni.training_service.pool.archive` sends along. What a trial's directory looks like, how its launcher works and how its
logs are kept short is here too, because ``local`` does it the same way.

- `nni.trial_runner.protocol`: the messages between manager and runner.
- `nni.trial_runner.runner`: the process that runs trials. It outlives the connection and the manager.
- `nni.trial_runner.attach`: what an SSH connection (or another way of starting a program there) starts: it finds or
  starts the runner, and carries bytes between it and its own standard input and output.
"""
