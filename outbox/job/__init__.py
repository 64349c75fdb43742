"""What an actor sees of its job.

Reading order: job (all of it), blocks (how its blocks are entered), commits (who may commit in
them), cancellation (whether it is to stop, and when it may hear of it), progress (how far it is).
"""

from outbox.job.blocks import Block
from outbox.job.commits import refuse_early_commits
from outbox.job.job import Claim, Job

__all__ = ["Block", "Claim", "Job", "refuse_early_commits"]
