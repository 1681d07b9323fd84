"""The star compiler: ``star.yaml`` -> spec -> plan -> features that were known at their moment."""
