"""The base of the service's own tables. The tables of jobs are in outbox/store/schema/."""

from datetime import datetime

from sqlalchemy import DateTime, MetaData, Text
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """The base of all tables of the service. Times have a time zone."""

    metadata = MetaData(
        schema="public",  # whatever the operator's search path
        naming_convention={
            "ix": "%(table_name)s_%(column_0_name)s_ix",
            "uq": "%(table_name)s_%(column_0_name)s_key",
            "fk": "%(table_name)s_%(column_0_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        },
    )
    type_annotation_map = {datetime: DateTime(timezone=True), str: Text}  # noqa: RUF012
