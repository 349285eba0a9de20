-- A member's link may prove a new mail address: which. NULL: it joins the team, or sets a new password.
ALTER TABLE invitation ADD COLUMN mail TEXT;
