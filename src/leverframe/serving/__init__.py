"""What runs inside the MLServer process: runtime, cache, input check, feature lookup, inference log.

MLServer loads the module of a runtime anew with every model, so ``runtime`` keeps nothing; what
must outlive a load lives in the other modules.
"""
