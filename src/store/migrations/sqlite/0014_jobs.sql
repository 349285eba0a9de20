-- Long-running jobs, how far each came, and what came of its tokens.

CREATE TABLE job (
    id               BLOB    PRIMARY KEY,
    team             TEXT    NOT NULL REFERENCES team (id),
    network          TEXT    NOT NULL,
    state            TEXT    NOT NULL,
    tokens           INTEGER NOT NULL,
    renewed          INTEGER NOT NULL,
    failed           INTEGER NOT NULL,
    needs_person     INTEGER NOT NULL,
    nothing_to_renew INTEGER NOT NULL,
    last_token       BLOB    NOT NULL,
    created_by       TEXT    NOT NULL,
    created_at_us    INTEGER NOT NULL,
    ended_at_us      INTEGER
) STRICT, WITHOUT ROWID;
-- At a network one job of a team can be under way or stopped.
CREATE UNIQUE INDEX job_open ON job (team, network) WHERE state <> 'done';
CREATE INDEX job_running ON job (id) WHERE state = 'running';
CREATE INDEX job_by_team ON job (team, id);
CREATE INDEX job_ended ON job (ended_at_us) WHERE ended_at_us IS NOT NULL;

CREATE TABLE job_result (
    job     BLOB    NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    token   BLOB    NOT NULL,
    outcome TEXT    NOT NULL,
    message TEXT    NOT NULL,
    at_us   INTEGER NOT NULL,
    PRIMARY KEY (job, token)
) STRICT, WITHOUT ROWID;
