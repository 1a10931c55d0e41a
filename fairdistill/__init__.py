"""MMD-based fair feature distillation (MFD): the library that the pipeline's scripts share."""

__version__ = "0.2.0"
