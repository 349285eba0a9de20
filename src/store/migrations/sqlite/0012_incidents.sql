-- One fact that hits many tokens of an app; at most one is open for each app. Which tokens it hit stands with them: an incident may have
-- any number.

CREATE TABLE incident (
    id                 BLOB    PRIMARY KEY,
    network            TEXT    NOT NULL,
    app                TEXT    NOT NULL,
    kind               TEXT    NOT NULL,
    seen_in            TEXT    NOT NULL,
    stage              TEXT    NOT NULL,
    persons            INTEGER NOT NULL,
    served             INTEGER NOT NULL,
    refused            INTEGER NOT NULL,
    final_refusals     INTEGER NOT NULL,
    started_at_us      INTEGER NOT NULL,
    opened_at_us       INTEGER NOT NULL,
    stage_since_us     INTEGER NOT NULL,
    next_canary_at_us  INTEGER NOT NULL,
    acknowledged_at_us INTEGER,
    acknowledged_by    TEXT,
    closed_at_us       INTEGER,
    closed_by          TEXT,
    outcome            TEXT,
    settled            INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX incident_open ON incident (network, app) WHERE closed_at_us IS NULL;
CREATE INDEX incident_unsettled ON incident (id) WHERE settled = 0;
CREATE INDEX incident_closed ON incident (closed_at_us) WHERE closed_at_us IS NOT NULL;

ALTER TABLE token ADD COLUMN incident BLOB;
-- When the present secrets came.
ALTER TABLE token ADD COLUMN secrets_since_us INTEGER NOT NULL DEFAULT 0;
CREATE INDEX token_by_incident ON token (incident, team, id) WHERE incident IS NOT NULL;
CREATE INDEX token_in_trouble ON token (network, app, state_since_us) WHERE incident IS NULL AND state IN ('suspect', 'invalid');

-- Spans in which a token was dead and after which it was healed: what was missed is to be fetched by then.
CREATE TABLE token_dead_span (
    token      BLOB    NOT NULL,
    until_us   INTEGER NOT NULL,
    from_us    INTEGER NOT NULL,
    reason     TEXT    NOT NULL,
    PRIMARY KEY (token, until_us)
) STRICT, WITHOUT ROWID;
CREATE INDEX token_dead_span_by_end ON token_dead_span (until_us);
