"""Move API keys and idempotency keys to the library, in its schema.

Tables of the earlier release move there, replacing the library's. Views stay at the old
place, so that processes of the earlier release can read and write until they are replaced. A later
release drops them.
"""

from alembic import op

from outbox import migrations

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = ("api_keys", "idempotency_keys")
MOVE = """
DO $$
DECLARE given record;
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_class WHERE oid = to_regclass('public.{table}') AND relkind = 'r'
    ) THEN
        RETURN;
    END IF;
    LOCK TABLE public.{table}, duly.{table} IN ACCESS EXCLUSIVE MODE;
    -- The library's tables may be of a later version already, and then have this column.
    IF EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'duly.{table}'::regclass AND attname = 'last_seen_at'
    ) THEN
        ALTER TABLE public.{table} ADD COLUMN last_seen_at TIMESTAMP WITH TIME ZONE;
    END IF;
    -- Rows are in both where a process of this release ran before this revision, after a crash.
    INSERT INTO public.{table} SELECT * FROM duly.{table} ON CONFLICT DO NOTHING;
    DROP TABLE duly.{table};
    ALTER TABLE public.{table} SET SCHEMA duly;
    CREATE VIEW public.{table} AS TABLE duly.{table};
    FOR given IN
        SELECT DISTINCT grantee::regrole AS role
        FROM pg_class, aclexplode(relacl)
        WHERE oid = 'duly.{table}'::regclass AND grantee NOT IN (0, relowner)
    LOOP
        EXECUTE 'GRANT SELECT, INSERT, UPDATE, DELETE ON public.{table} TO ' || given.role;
    END LOOP;
END $$
"""


def upgrade() -> None:
    migrations.upgrade(op.get_bind(), 8)
    for table in TABLES:
        op.get_bind().exec_driver_sql(MOVE.format(table=table))


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP VIEW IF EXISTS public.{table}")
        op.execute(f"ALTER TABLE duly.{table} SET SCHEMA public")
    migrations.forget(op.get_bind(), 8)
