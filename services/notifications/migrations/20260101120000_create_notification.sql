-- What people are told in the console, one notice to a person per fact.
CREATE TABLE notification (
    id uuid PRIMARY KEY,
    event_id uuid NOT NULL,
    person_id uuid NOT NULL,
    topic text NOT NULL CHECK (topic IN ('EXPLANATION_REQUESTED', 'EXPLANATION_ANSWERED', 'EXPLANATION_RETURNED',
        'EXPLANATION_ACCEPTED', 'EXPLANATION_WITHDRAWN', 'EXPLANATION_EXTENSION', 'FEEDBACK_ROUTED', 'SUBMISSION')),
    language text NOT NULL CHECK (language IN ('vi', 'en')),
    title text NOT NULL,
    body text NOT NULL,
    path text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    read_time timestamptz,
    CONSTRAINT notification_once_key UNIQUE (event_id, person_id)
);
CREATE INDEX notification_person_idx ON notification (person_id, create_time, id);
CREATE INDEX notification_unread_idx ON notification (person_id, create_time, id) WHERE read_time IS NULL;

-- What is sent outside of the console. `next_attempt_time` of one being SENDING is when its lease ends: whoever comes
-- then sends it again.
CREATE TABLE delivery (
    id uuid PRIMARY KEY,
    notification_id uuid NOT NULL REFERENCES notification (id),
    event_id uuid NOT NULL,
    person_id uuid NOT NULL,
    -- where the person works: operators see the deliveries to their own units' people
    unit_id uuid,
    medium text NOT NULL CHECK (medium IN ('EMAIL', 'SMS')),
    topic text NOT NULL,
    state text NOT NULL DEFAULT 'WAITING' CHECK (state IN ('WAITING', 'SENDING', 'SENT', 'PARKED')),
    attempts integer NOT NULL DEFAULT 0,
    attempt_limit integer NOT NULL,
    last_error text NOT NULL DEFAULT '',
    traceparent text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    send_time timestamptz,
    next_attempt_time timestamptz DEFAULT now(),
    CONSTRAINT delivery_once_key UNIQUE (event_id, person_id, medium),
    CONSTRAINT delivery_next_attempt_check CHECK ((next_attempt_time IS NULL) = (state IN ('SENT', 'PARKED')))
);
CREATE INDEX delivery_due_idx ON delivery (next_attempt_time) WHERE state IN ('WAITING', 'SENDING');
CREATE INDEX delivery_list_idx ON delivery (create_time, id);

-- Names for messages, kept from the indicators' feed.
CREATE TABLE indicator (
    id uuid PRIMARY KEY,
    name_vi text NOT NULL,
    name_en text NOT NULL,
    field_code text NOT NULL,
    owner_unit_id uuid
);
