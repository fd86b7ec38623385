-- Shapes of money functions that no engine asks for any more, with the functions that take them: they were in use for a
-- while between two releases.

DROP TYPE IF EXISTS
    reserve_request_v2, reserve_fact_v2, settle_request_v2, settle_answer_v2, settling_v2, ending_v2, end_of_call_v2 CASCADE;
