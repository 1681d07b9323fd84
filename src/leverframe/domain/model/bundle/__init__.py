"""All that a server needs of a model, in one folder that names each byte."""
