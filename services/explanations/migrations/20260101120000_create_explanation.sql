-- Numbers of codes such as "YC-0147"; gaps are allowed.
CREATE SEQUENCE explanation_number;

CREATE TABLE explanation (
    id uuid PRIMARY KEY,
    number bigint NOT NULL DEFAULT nextval('explanation_number'),
    indicator_id uuid NOT NULL,
    indicator_name_vi text NOT NULL,
    indicator_name_en text NOT NULL,
    subject_unit_id uuid NOT NULL,
    unit_id uuid NOT NULL,
    field_code text NOT NULL,
    state text NOT NULL CHECK (state IN ('SENT', 'SEEN', 'ANSWERED', 'RETURNED', 'ACCEPTED', 'WITHDRAWN')),
    requester_id uuid NOT NULL,
    requester_name text NOT NULL,
    message text NOT NULL,
    deadline timestamptz NOT NULL,
    commitment_date date,
    extension_deadline timestamptz,
    -- civicmesh.explanations.v1.Evidence without its forecast, and that, encoded; never changed. Apart, for lists show
    -- none of the forecast, which is the larger by far.
    evidence bytea NOT NULL,
    forecast bytea NOT NULL,
    version integer NOT NULL DEFAULT 1,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX explanation_number_key ON explanation (number);
-- A leader asks about one figure once at a time.
CREATE UNIQUE INDEX explanation_already_open_key ON explanation (requester_id, indicator_id, subject_unit_id)
    WHERE state IN ('SENT', 'SEEN', 'ANSWERED', 'RETURNED');
CREATE INDEX explanation_open_idx ON explanation (deadline, id)
    WHERE state IN ('SENT', 'SEEN', 'ANSWERED', 'RETURNED');
-- Closed ones are many: a page is read by whatever the reader sees them by.
CREATE INDEX explanation_closed_idx ON explanation (update_time, id)
    WHERE state IN ('ACCEPTED', 'WITHDRAWN');
CREATE INDEX explanation_closed_requester_idx ON explanation (requester_id, update_time, id)
    WHERE state IN ('ACCEPTED', 'WITHDRAWN');
CREATE INDEX explanation_closed_unit_idx ON explanation (unit_id, update_time, id)
    WHERE state IN ('ACCEPTED', 'WITHDRAWN');
CREATE INDEX explanation_closed_subject_idx ON explanation (subject_unit_id, update_time, id)
    WHERE state IN ('ACCEPTED', 'WITHDRAWN');
CREATE INDEX explanation_closed_field_idx ON explanation (field_code, update_time, id)
    WHERE state IN ('ACCEPTED', 'WITHDRAWN');
CREATE INDEX explanation_closed_indicator_idx ON explanation (indicator_id, update_time, id)
    WHERE state IN ('ACCEPTED', 'WITHDRAWN');

-- What happened; `seq` orders the steps of one request, because each is made under the lock of its row.
CREATE TABLE thread_entry (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    explanation_id uuid NOT NULL REFERENCES explanation (id),
    kind text NOT NULL CHECK (kind IN ('REQUEST', 'SEEN', 'ANSWER', 'RETURN', 'ACCEPT', 'WITHDRAW',
        'EXTENSION_REQUEST', 'EXTENSION_GRANT', 'EXTENSION_REFUSAL')),
    actor_id uuid NOT NULL,
    actor_name text NOT NULL,
    unit_id uuid,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    text text NOT NULL,
    deadline timestamptz,
    cause text,
    action text,
    remedy_date date,
    CONSTRAINT thread_entry_answer_check CHECK ((kind = 'ANSWER') = (cause IS NOT NULL)
        AND (cause IS NULL) = (action IS NULL) AND (cause IS NULL) = (remedy_date IS NULL))
);
CREATE INDEX thread_entry_explanation_idx ON thread_entry (explanation_id, seq);

-- Documents; the bytes are an object under the id. One without entry is not part of an answer (yet).
CREATE TABLE attachment (
    id uuid PRIMARY KEY,
    explanation_id uuid NOT NULL REFERENCES explanation (id),
    entry_id uuid REFERENCES thread_entry (id),
    uploader_id uuid NOT NULL,
    -- false until the object is stored, so that no object is ever without a row
    is_stored boolean NOT NULL DEFAULT false,
    name text NOT NULL,
    content_type text NOT NULL,
    size bigint NOT NULL,
    sha256 bytea NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX attachment_entry_idx ON attachment (entry_id) WHERE entry_id IS NOT NULL;
CREATE INDEX attachment_unused_idx ON attachment (create_time) WHERE entry_id IS NULL;
