"""What a machine refuses in the midst of a training, in one line that says what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fairdistill.runtime.errors import NO_MAIN_MEMORY, UserError

FEWER = "training.batch_size, or the image_size of the data set"
# Some of torch's errors are RuntimeErrors like any other, and their text alone says what they are of: those of a GPU,
# its libraries (cuBLAS, cuDNN) and its driver.
NO_GPU_MEMORY = re.compile("CUDA.*out of memory|CU[A-Z]+_STATUS_ALLOC_FAILED")
OF_A_GPU = re.compile("CUDA|CU[A-Z]+_STATUS|cuDNN|NVIDIA")


@contextmanager
def explained() -> Iterator[None]:
    """Turn errors of memory and of a GPU into a `UserError`; a resumed training goes on from its last whole epoch."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # the lines behind the first are of torch's own debugging
        what = str(error).partition("\n")[0]
        if isinstance(error, torch.OutOfMemoryError) or NO_GPU_MEMORY.search(what):
            problem = f"training: the memory of the GPU is full; lower training.gpu_slots, {FEWER} ({what})"
        elif isinstance(error, torch.AcceleratorError) or OF_A_GPU.search(what):
            problem = (
                f"training: the GPU fails ({what}); where it is too old or too new for this torch "
                f"({torch.__version__}), install a build for it, or set training.device to cpu"
            )
        elif isinstance(error, MemoryError) or NO_MAIN_MEMORY.search(what):
            problem = (
                f"training: the main memory is full; lower {FEWER}, or let fewer trainings run at a time: raise "
                "training.memory to what one takes"
            )
        else:
            raise
        raise UserError(problem) from error
