"""Other people's recommenders, each a script of the environment that ``make peers`` builds (``.cache/peers``).

A script reads the rows as a neutral file and writes its lists as another (``benchmarks.peers.exchange``), so that the
project imports none of them: they want an older NumPy.
"""
