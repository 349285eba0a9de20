-- Messages name the events that they tell of, and are written in words when they are sent. Each destination has a lane, so that one that fails
-- holds up no other. Messages of earlier versions are dropped: the alerts that they told of are there, and open ones are shown.

DROP TABLE outbox;
CREATE TABLE outbox (
    id                BLOB    PRIMARY KEY,
    destination       TEXT    NOT NULL,
    events            TEXT    NOT NULL,
    more              INTEGER NOT NULL,
    gathers           INTEGER NOT NULL,
    made_at_us        INTEGER NOT NULL,
    due_at_us         INTEGER NOT NULL,
    first_tried_at_us INTEGER,
    attempts          INTEGER NOT NULL,
    last_error        TEXT,
    state             TEXT    NOT NULL,
    ended_at_us       INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_pending ON outbox (destination, id) WHERE state = 'pending';
CREATE INDEX outbox_made ON outbox (destination, made_at_us);
CREATE INDEX outbox_by_state ON outbox (state, id);
CREATE INDEX outbox_ended ON outbox (ended_at_us) WHERE ended_at_us IS NOT NULL;

-- There while messages are pending. `failures`: how often sending failed in a row. While it is claimed nobody else sends along it.
CREATE TABLE lane (
    destination TEXT    PRIMARY KEY,
    due_at_us   INTEGER NOT NULL,
    failures    INTEGER NOT NULL,
    claimed_until_us INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX lane_sound ON lane (due_at_us) WHERE failures = 0;
CREATE INDEX lane_failing ON lane (due_at_us) WHERE failures > 0;

-- When a token is looked at, since something may have to be told of its end (NULL: never). Those that are there are looked at once.
ALTER TABLE token ADD COLUMN look_at_us INTEGER;
UPDATE token SET look_at_us = 0 WHERE ends_at_us IS NOT NULL AND state NOT IN ('invalid', 'revoked');
CREATE INDEX token_by_look ON token (look_at_us) WHERE look_at_us IS NOT NULL;
