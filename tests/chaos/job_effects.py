"""What the jobs of `test_jobs.py` do: they write a row each."""

from __future__ import annotations

from sqlalchemy import Column, Integer, MetaData, String, Table

from longshore.clock import MINUTE

KIND = "work"
LEASE = MINUTE
# No key: nothing but the queue keeps a job from writing twice.
EFFECTS = Table("effects", MetaData(), Column("n", Integer), Column("lease", String(36)))
