"""While PostgreSQL is away: ends kept on local disk, and calls allowed to listed postpaid logins."""
