-- The teams that an incident concerns, each with how many of its tokens it covered when the team was told.
CREATE TABLE incident_team (
    incident BLOB    NOT NULL,
    team     TEXT    NOT NULL,
    tokens   INTEGER NOT NULL,
    PRIMARY KEY (incident, team)
) STRICT, WITHOUT ROWID;
