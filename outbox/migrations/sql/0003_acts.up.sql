-- The record of acts: who did what to what, and why; append-only.

CREATE TABLE duly.acts (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    who TEXT NOT NULL,
    why TEXT,
    act TEXT NOT NULL,
    about TEXT[] NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT acts_who CHECK (who ~ '\S')
);
CREATE INDEX acts_by_thing ON duly.acts USING gin (about);
CREATE FUNCTION duly.refuse_to_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the record of acts is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER acts_stay
BEFORE UPDATE OR DELETE OR TRUNCATE ON duly.acts
FOR EACH STATEMENT EXECUTE FUNCTION duly.refuse_to_change();
