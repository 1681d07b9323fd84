"""Models that were trained elsewhere: how they are opened, what they take, and how they are packed for serving."""
