-- Shapes of money functions that no engine asks for any more, with the functions that take them: they were in use for a
-- while between two releases.

DROP TYPE IF EXISTS
    call_details_v3, kept_details_v3, reserve_request_v4, reserve_answer_v2, reserve_fact_v3, hold_v2, extend_request_v2,
    extend_answer_v2, settle_request_v4, ending_v4, settling_v4, end_of_call_v3 CASCADE;
