"""The other tool's side of a comparison: each module runs in that tool's own environment, never in ours."""
