-- The incidents of a team are found by it.
CREATE INDEX incident_of_team ON incident_team (team, incident);
