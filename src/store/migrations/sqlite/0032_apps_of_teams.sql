-- Apps that one team alone may use. They outlive it, since what they granted is given back by them; then they serve nobody, until an operator
-- deletes them.

ALTER TABLE app ADD COLUMN team TEXT;
