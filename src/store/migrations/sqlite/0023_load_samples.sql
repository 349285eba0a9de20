-- What each team's loads were, each quarter of an hour, for the charts of the last days. Demand and supply are units of the class over the span
-- that the level followed.

CREATE TABLE load_sample (
    team    TEXT    NOT NULL,
    network TEXT    NOT NULL,
    class   TEXT    NOT NULL,
    at_us   INTEGER NOT NULL,
    span_us INTEGER NOT NULL,
    demand  INTEGER NOT NULL,
    supply  INTEGER NOT NULL,
    tokens  INTEGER NOT NULL,
    PRIMARY KEY (team, network, class, at_us)
) STRICT, WITHOUT ROWID;
CREATE INDEX load_sample_by_time ON load_sample (at_us);
