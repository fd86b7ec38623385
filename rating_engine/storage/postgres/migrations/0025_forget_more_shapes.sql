-- Shapes of money functions that no engine asks for any more, with the functions that take them: they were in use for a
-- while between two releases.

DROP TYPE IF EXISTS
    call_details_v2, kept_details_v2, reserve_request_v3, settle_request_v3, settling_v3, ending_v3 CASCADE;
