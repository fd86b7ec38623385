-- A part of reserve_v5() that nothing asks any more: what a batch locks is locked by lock_batch().

DROP FUNCTION IF EXISTS lock_and_read(smallint, reserve_request_v5[]);
