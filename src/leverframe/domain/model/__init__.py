"""The model: how it is trained, evaluated on the hold-out, and packed for serving."""
