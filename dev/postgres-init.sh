#!/bin/sh
# The postgres image runs this when it creates its data: it makes the role that Duly's processes run
# as. The tables belong to another, so that no process can change the record of acts.
set -eu
psql --no-psqlrc --quiet --variable ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --variable password="$DULY_APP_PASSWORD" <<'SQL'
CREATE ROLE duly_app LOGIN PASSWORD :'password';
SQL
