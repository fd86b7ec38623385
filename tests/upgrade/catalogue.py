"""All that PostgreSQL knows of a schema, in words that can be compared: two databases with equal ones are the same."""

from __future__ import annotations

import asyncpg

_OURS = "n.nspname = 'public' AND {0}.relname <> 'schema_version' AND {0}.relname NOT LIKE 'schema_version\\_%'"

# Kind -> every object of it, in words. The order of columns is not compared: what is added comes last.
QUESTIONS = {
    "relation": f"""
        SELECT format('%s %s %s %s', c.relkind, c.relname, c.relpersistence, c.reloptions)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind <> 'c' AND {_OURS.format("c")}""",
    "column": f"""
        SELECT format('%s.%s %s null=%s default=%s identity=%s generated=%s collation=%s', c.relname, a.attname,
                      format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
                      a.attidentity, a.attgenerated, a.attcollation::regcollation)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm') AND {_OURS.format("c")}""",
    "type": """
        SELECT format('%s %s (%s) (%s)', t.typtype, t.typname, (
            SELECT string_agg(format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
            FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0
        ), (SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
        WHERE n.nspname = 'public' AND (t.typtype IN ('e', 'd') OR t.typtype = 'c' AND c.relkind = 'c')""",
    "constraint": f"""
        SELECT format('%s %s %s valid=%s', c.relname, o.conname, pg_get_constraintdef(o.oid), o.convalidated)
        FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE o.contype <> 'n' AND {_OURS.format("c")}""",
    "index": f"""
        SELECT format('%s valid=%s', pg_get_indexdef(i.indexrelid), i.indisvalid)
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {_OURS.format("c")}""",
    "function": """
        SELECT pg_get_functiondef(p.oid) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = 'public'""",
    "trigger": f"""
        SELECT format('%s enabled=%s', pg_get_triggerdef(t.oid), t.tgenabled)
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE NOT t.tgisinternal AND {_OURS.format("c")}""",
    "view": f"""
        SELECT format('%s %s', c.relname, pg_get_viewdef(c.oid))
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'v' AND {_OURS.format("c")}""",
    "sequence": """
        SELECT format('%s %s %s %s', sequencename, data_type, start_value, increment_by)
        FROM pg_sequences WHERE schemaname = 'public' AND sequencename NOT LIKE 'schema\\_version\\_%'""",
}


async def catalogue(connection: asyncpg.Connection) -> dict[str, set[str]]:
    """Every object by kind; the history of the schema is left out."""
    return {kind: {row[0] for row in await connection.fetch(question)} for kind, question in QUESTIONS.items()}


def differences(one: dict[str, set[str]], other: dict[str, set[str]]) -> list[str]:
    """What only the one has (-), and only the other (+), with its kind."""
    return [
        f"{sign} {kind}: {text}"
        for kind in one
        for sign, texts in (("-", one[kind] - other[kind]), ("+", other[kind] - one[kind]))
        for text in sorted(texts)
    ]
