-- Facts that people may want to hear, each written in the transaction of the change that made it true. `told_at_us` is set once it was
-- decided who hears of it.

CREATE TABLE event (
    id         BLOB    PRIMARY KEY,
    at_us      INTEGER NOT NULL,
    team       TEXT,
    kind       TEXT    NOT NULL,
    network    TEXT    NOT NULL,
    token      BLOB,
    fact       TEXT    NOT NULL,
    dedup_key  TEXT    NOT NULL UNIQUE,
    told_at_us INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX event_untold ON event (id) WHERE told_at_us IS NULL;
CREATE INDEX event_by_team ON event (team, id);
CREATE INDEX event_by_time ON event (at_us);
