"""Short names of array types for signatures; arrays that nobody writes to."""

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]
I8 = npt.NDArray[np.int8]
I16 = npt.NDArray[np.int16]
I32 = npt.NDArray[np.int32]
U32 = npt.NDArray[np.uint32]
I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

Scalar = TypeVar("Scalar", bound=np.generic)


def read_only(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """The same memory as a plain array that cannot be written to.

    Numba compiles a kernel once more for arrays that may be written to than for those of mapped files. What is opened
    as well as made therefore holds its arrays like this: one kind, one compilation.
    """
    view: npt.NDArray[Any] = np.asarray(array).view()
    view.flags.writeable = False
    return view
