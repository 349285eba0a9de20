-- Which tokens of a team, whoever granted them, and which of a profile, do not work or end soonest.

CREATE INDEX token_at_risk_of_team ON token (team, risk_us, id) WHERE risk_us IS NOT NULL;
CREATE INDEX token_profile_by_profile ON token_profile (profile);
