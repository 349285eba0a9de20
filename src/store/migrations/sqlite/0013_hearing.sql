-- What members chose to hear and have read, and where whole teams are told.

CREATE TABLE notice_settings (
    member   BLOB PRIMARY KEY REFERENCES member (id) ON DELETE CASCADE,
    settings TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A member has read everything up to an event, and single ones after it.
CREATE TABLE notice_reader (
    member  BLOB PRIMARY KEY REFERENCES member (id) ON DELETE CASCADE,
    through BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE notice_mark (
    member     BLOB    NOT NULL REFERENCES member (id) ON DELETE CASCADE,
    event      BLOB    NOT NULL,
    read_at_us INTEGER NOT NULL,
    PRIMARY KEY (member, event)
) STRICT, WITHOUT ROWID;
CREATE INDEX notice_mark_by_time ON notice_mark (read_at_us);

-- Targets and secrets are sealed with a key of the broker's own, bound to row, column and version.
CREATE TABLE destination (
    id             BLOB    PRIMARY KEY,
    team           TEXT    NOT NULL REFERENCES team (id) ON DELETE CASCADE,
    display_name   TEXT    NOT NULL,
    kind           TEXT    NOT NULL,
    shown          TEXT    NOT NULL,
    events         TEXT    NOT NULL,
    created_at_us  INTEGER NOT NULL,
    version        INTEGER NOT NULL,
    sealed_target  BLOB    NOT NULL,
    sealed_secrets BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX destination_by_team ON destination (team, id);
