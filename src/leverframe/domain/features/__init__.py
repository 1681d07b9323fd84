"""The star compiler: ``star.yaml`` to a plan, features as known at their time, and their lookup at request time."""
