-- Sessions are of a member or of an operator, who shows itself by a key. Those that go on stay.

CREATE TABLE session_of_anybody (
    id                  BLOB    PRIMARY KEY,
    member              BLOB    REFERENCES member (id) ON DELETE CASCADE,
    operator_key        BLOB    REFERENCES key (id),
    hash                BLOB    NOT NULL UNIQUE,
    created_at_us       INTEGER NOT NULL,
    seen_at_us          INTEGER NOT NULL,
    authenticated_at_us INTEGER NOT NULL,
    agent               TEXT    NOT NULL,
    origin              TEXT    NOT NULL,
    CHECK ((member IS NULL) <> (operator_key IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO session_of_anybody
    SELECT id, member, NULL, hash, created_at_us, seen_at_us, authenticated_at_us, agent, origin FROM session;
DROP TABLE session;
ALTER TABLE session_of_anybody RENAME TO session;
CREATE INDEX session_by_member ON session (member, id);
CREATE INDEX session_by_operator ON session (operator_key, id) WHERE operator_key IS NOT NULL;
CREATE INDEX session_by_beginning ON session (created_at_us);
CREATE INDEX session_by_use ON session (seen_at_us);
