"""When a model is trained anew, whether that helped, and the pull request that proposes the candidate."""
