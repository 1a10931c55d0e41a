"""What a machine refuses in the midst of a training, in one line that says what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fairdistill.runtime.errors import UserError

FEWER = "training.batch_size, or the image_size of the data set"
# how torch's allocator of main memory begins its message; the error is a RuntimeError like any other
NO_MAIN_MEMORY = "DefaultCPUAllocator"


@contextmanager
def explained() -> Iterator[None]:
    """Turn errors of memory and of a GPU into a `UserError`; a resumed training goes on from its last whole epoch."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"training: the memory of the GPU is full; lower training.gpu_slots, {FEWER} ({error})"
        ) from error
    except torch.AcceleratorError as error:
        raise UserError(
            f"training: the GPU fails ({error}); where it is too old or too new for this torch ({torch.__version__}), "
            "install a build for it, or set training.device to cpu"
        ) from error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and NO_MAIN_MEMORY not in str(error):
            raise
        raise UserError(
            f"training: the main memory is full; lower {FEWER}, or let fewer trainings run at a time: raise "
            "training.memory to what one takes"
        ) from error
