"""What a role may do beyond reading, or beyond writing tables where $1 is true, asked of PostgreSQL itself.

Every row is one excess, in words.
"""

TOO_MUCH = """
WITH mine AS MATERIALIZED (
    -- The login role and every role it could become.
    SELECT oid, rolname, rolsuper, rolcreatedb, rolcreaterole, rolreplication
    FROM pg_catalog.pg_roles
    WHERE oid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user)
       OR (pg_catalog.pg_has_role(session_user, oid, 'MEMBER')
           AND NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user))
), relations AS (
    SELECT c.oid, n.nspname, c.relname
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
), plain AS (
    SELECT mine.* FROM mine WHERE NOT EXISTS (SELECT 1 FROM mine WHERE rolsuper)
), excess AS (
    SELECT 1 AS rank, format('%s is a superuser', rolname) AS what FROM mine WHERE rolsuper
    UNION ALL
    SELECT 2, format('%s may create databases', rolname) FROM plain WHERE rolcreatedb
    UNION ALL
    SELECT 2, format('%s may create roles', rolname) FROM plain WHERE rolcreaterole
    UNION ALL
    SELECT 2, format('%s may replicate', rolname) FROM plain WHERE rolreplication
    UNION ALL
    SELECT 2, format('it is a member of %s', rolname) FROM plain
    WHERE rolname LIKE 'pg\\_%' AND rolname NOT IN (
        'pg_monitor', 'pg_read_all_data', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables',
        'pg_use_reserved_connections')
    UNION ALL
    SELECT 3, format('%s may write %I.%I', plain.rolname, r.nspname, r.relname) FROM relations r, plain
    WHERE NOT $1
      AND (pg_catalog.has_table_privilege(plain.oid, r.oid, 'DELETE, TRUNCATE')
           OR pg_catalog.has_any_column_privilege(plain.oid, r.oid, 'INSERT, UPDATE'))
    UNION ALL
    SELECT 3, format('%s may truncate %I.%I', plain.rolname, r.nspname, r.relname) FROM relations r, plain
    WHERE $1 AND pg_catalog.has_table_privilege(plain.oid, r.oid, 'TRUNCATE')
    UNION ALL
    SELECT 4, format('%s may create in schema %I', plain.rolname, n.nspname) FROM pg_catalog.pg_namespace n, plain
    WHERE n.nspname NOT LIKE 'pg\\_%' AND pg_catalog.has_schema_privilege(plain.oid, n.oid, 'CREATE')
    UNION ALL
    SELECT 4, format('%s may create schemas', plain.rolname) FROM plain
    WHERE pg_catalog.has_database_privilege(plain.oid, current_database(), 'CREATE')
    UNION ALL
    SELECT 5, format('%s may connect to the database %I', plain.rolname, d.datname)
    FROM pg_catalog.pg_database d, plain
    WHERE d.datallowconn AND NOT d.datistemplate AND d.datname <> current_database()
      AND pg_catalog.has_database_privilege(plain.oid, d.oid, 'CONNECT')
    UNION ALL
    SELECT 5, format('%s may use the foreign server %I', plain.rolname, s.srvname)
    FROM pg_catalog.pg_foreign_server s, plain WHERE pg_catalog.has_server_privilege(plain.oid, s.oid, 'USAGE')
    UNION ALL
    SELECT 5, format('%s may call %I of dblink', plain.rolname, p.proname)
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_depend d ON d.objid = p.oid AND d.classid = 'pg_catalog.pg_proc'::regclass AND d.deptype = 'e'
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'dblink', plain
    WHERE pg_catalog.has_function_privilege(plain.oid, p.oid, 'EXECUTE')
)
SELECT what FROM excess ORDER BY rank, what LIMIT 5
"""
