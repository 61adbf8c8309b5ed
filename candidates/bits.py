"""The machine's own instructions for bits and caches, which numba has no functions for: to be called in kernels."""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import extending, types

import events.compiled  # noqa: F401  (sets the cache folder before numba is imported)

intrinsic: Any = extending.intrinsic
BYTES = ir.IntType(8).as_pointer()


@intrinsic  # type: ignore[untyped-decorator]
def lowest_bit(_typing: Any, word: Any) -> Any:
    """Place, 0 to 63, of the lowest bit that is set in an int64 that is not 0."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(word), generate


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(_typing: Any, array: Any, index: Any) -> Any:
    """Ask for ``array[index]`` of an array of one dimension, which is read soon; it may lie outside."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [BYTES, number, number, number])
        function = builder.module.globals.get("llvm.prefetch.p0") or ir.Function(
            builder.module, kind, "llvm.prefetch.p0"
        )
        pointer = builder.bitcast(builder.gep(view.data, [arguments[1]]), BYTES)
        builder.call(function, [pointer, number(0), number(3), number(1)])  # to read, into every cache, data
        return context.get_dummy_value()

    return types.void(array, index), generate
