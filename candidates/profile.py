"""A session's items and how much each of them counts: what the sources look up."""

from candidates.accumulator import add, find, recency_weights
from events.arrays import F64, I8, I32
from events.compiled import kernel


@kernel
def weigh_items(
    aids: I32, types: I8, first: int, last: int, tail: int,
    type_weights: F64, first_power: float, last_power: float,
    own: I32, places: F64, slots: int,
    unique: I32, weights: F64,
) -> int:  # fmt: skip
    """The different items of the last ``tail`` of the events ``first:last``, the latest first; returns their number.

    unique, weights : of each item Σ over its events of (2^p - 1) * type weight, p rising evenly over the tail
    own, places     : empty table with room for all events; afterwards it holds every item of the session, with its
                      place in ``unique``, or their number if it lies before the tail
    """
    begin = max(first, last - tail)
    recency = recency_weights(last - begin, first_power, last_power)
    found = 0
    for i in range(last - 1, first - 1, -1):
        slot = find(own, slots, aids[i])
        if slot < 0:
            add(own, places, slots, aids[i], float(found))
            if i < begin:
                continue
            unique[found] = aids[i]
            weights[found] = 0.0
            place, found = found, found + 1
        else:
            place = int(places[slot])
        if i >= begin:
            weights[place] += recency[i - begin] * type_weights[types[i]]
    return found
