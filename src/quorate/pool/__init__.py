"""One member of a gossip pool at run time: sockets, clock and disk around the pure core.

It knows nothing of Nomad: who may be in the pool is said by the `admit` of its options.
"""

from quorate.pool.options import PoolOptions
from quorate.pool.pool import Pool
from quorate.pool.results import JoinResult, KeyResult, QueryResult

__all__ = ["JoinResult", "KeyResult", "Pool", "PoolOptions", "QueryResult"]
