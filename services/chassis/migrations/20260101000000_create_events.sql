CREATE SCHEMA IF NOT EXISTS chassis;

-- What this service states. `position` is given after commit (events::sequence): `seq` alone becomes visible out of order.
CREATE TABLE chassis.outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    position bigint,
    id uuid NOT NULL,
    type text NOT NULL,
    subject text NOT NULL,
    unit_ids uuid[] NOT NULL,
    field_code text,
    actor text NOT NULL,
    traceparent text NOT NULL,
    time timestamptz NOT NULL DEFAULT now(),
    data bytea NOT NULL
);
CREATE UNIQUE INDEX outbox_position_key ON chassis.outbox (position) WHERE position IS NOT NULL;
CREATE INDEX outbox_unpositioned_idx ON chassis.outbox (seq) WHERE position IS NULL;

-- One row: the last position given, and the last one deleted with the id of its event, so that a cursor at the very
-- edge of what is kept can still be verified.
CREATE TABLE chassis.feed (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bigint NOT NULL DEFAULT 0,
    deleted_position bigint NOT NULL DEFAULT 0,
    deleted_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'
);
INSERT INTO chassis.feed DEFAULT VALUES;

-- Who reads this service's feed, and how far.
CREATE TABLE chassis.feed_consumer (
    name text PRIMARY KEY,
    principal text NOT NULL,
    position bigint NOT NULL,
    seen_time timestamptz NOT NULL DEFAULT now()
);

-- How far this service has read the feeds of others; the row is also the lease of the one replica that acts.
CREATE TABLE chassis.consumer (
    name text NOT NULL,
    source text NOT NULL,
    cursor text,
    holder uuid,
    lease_end_time timestamptz NOT NULL,
    PRIMARY KEY (name, source)
);

-- Events of others that this service could not digest, and the later ones of the same subject behind them.
CREATE TABLE chassis.parked_event (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer text NOT NULL,
    source text NOT NULL,
    subject text NOT NULL,
    event_id text NOT NULL,
    event bytea NOT NULL,
    error text NOT NULL,
    attempts integer NOT NULL,
    is_replay_wanted boolean NOT NULL DEFAULT false,
    park_time timestamptz NOT NULL DEFAULT now(),
    UNIQUE (consumer, source, subject, event_id)
);
CREATE INDEX parked_event_replay_idx ON chassis.parked_event (consumer, source) WHERE is_replay_wanted;
