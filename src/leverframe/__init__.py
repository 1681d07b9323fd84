"""GitOps for machine learning: the pull request is the control panel of the model."""

__version__ = "0.1.0"
