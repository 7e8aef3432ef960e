"""A lake: the segments of many machines' stores as one DuckLake, with its catalogue in PostgreSQL.

The files lie in a folder that all of these machines see; the catalogue says which they are. A store stays what it is:
its machine records into it as ever, and what it has published is copied into the lake when somebody registers it.
"""

from tttlab.store.lake.merging import merge
from tttlab.store.lake.reading import connect_lake
from tttlab.store.lake.registering import Registered, register

__all__ = ["Registered", "connect_lake", "merge", "register"]
