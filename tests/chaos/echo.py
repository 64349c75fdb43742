"""Messages doubled, late and out of order: put straight into the queue, as nothing should."""

from random import Random

import psycopg

from outbox.amqp.messages import Dispatch, encode
from tests.support.engine.rabbit import Rabbit

SOME_JOBS = "SELECT id::text, dispatch, kind, queue FROM duly.jobs ORDER BY random() LIMIT 200"


def echo(database_url: str, amqp_url: str, random: Random) -> None:
    """Two messages for each of up to 200 jobs, of any dispatch that the job has had."""
    with psycopg.connect(database_url) as database:
        jobs = database.execute(SOME_JOBS).fetchall() * 2
    random.shuffle(jobs)
    rabbit = Rabbit(amqp_url)
    for job_id, dispatch, kind, queue in jobs:
        rabbit.publish(queue, encode(Dispatch(job_id, random.randint(1, dispatch), kind, queue)))
    rabbit.close()
