-- Groups of cards may go by a route plan, too. None does yet.

ALTER TABLE card_groups ADD COLUMN IF NOT EXISTS route_plan_id bigint REFERENCES route_plans;
