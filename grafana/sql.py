"""Pieces of SQL that MySQL, MariaDB, PostgreSQL and SQLite all understand.

A variable's value is a text that anybody with a link can set. It always stands between quotes and
as percentencode, which leaves only A-Z a-z 0-9 - _ . ~ and %: nothing that ends a literal in any
SQL. (sqlstring doubles quotes, but leaves the backslash, which MySQL reads as an escape.) What
was encoded is decoded in SQL, inside the literal's value, where it is compared as data.
"""

from grafana.variables import ALL

SELECT = "SELECT /*+ MAX_EXECUTION_TIME(10000) */"
"""How a statement begins: MySQL ends it after 10 s. It has no limit for an account, as MariaDB and
PostgreSQL have, where deploy/grants sets it; to these it is a comment."""

PAGE = 50
"""Rows of a page."""

DAYS = 7
"""A panel looks at no more than the last days of the range: somebody's production answers it."""

MISSING = (
    "(SELECT CAST(NULL AS DECIMAL(20)) AS token_id, CAST(NULL AS DECIMAL(20)) AS use_time,"
    " CAST(NULL AS DECIMAL(20)) AS elapsed_time, CAST(NULL AS CHAR(1)) AS other,"
    " CAST(NULL AS CHAR(1)) AS request_id) missing"
)
"""Stands in for columns that a gateway of another age or kind does not have; see optional()."""

_ENCODED_ALL = ALL.replace("*", "%2A")

_PLAIN = " '()*+,/:=@[]\"{}<>"
"""What is decoded, with % and !. Other characters beyond A-Z a-z 0-9 - _ . ~ find nothing.

SQLite's parser takes no more than 20 steps; and no SQL that all understand decodes UTF-8.
"""

_DECODED = [*((f"%{ord(char):02X}", char) for char in _PLAIN), ("%25", "%")]


def _in_range(moment: str) -> str:
    return (
        f"{moment} >= ${{__from:date:seconds}} AND {moment} <= ${{__to:date:seconds}}"
        f" AND {moment} >= ${{__to:date:seconds}} - {DAYS * 86400}"
    )


IN_RANGE = _in_range("l.created_at")
"""Tells that a row is in the range."""


def value(variable: str) -> str:
    """Give a variable as a literal."""
    return f"'${{{variable}:percentencode}}'"


def equals(column: str, variable: str) -> str:
    """Tell that a number is what is chosen, or that everything is."""
    chosen = value(variable)
    return f"({chosen} = '{_ENCODED_ALL}' OR CAST({column} AS CHAR(20)) = {chosen})"


def contains(column: str, variable: str) -> str:
    """Tell that a text has a part, whatever its case; an empty part is in every text."""
    # The marks around it become the wildcards; ^ is encoded in every value.
    marked = f"'^${{{variable}:percentencode}}^'"
    steps = [("_", "!_"), ("%21", "!!"), *_DECODED, ("%", "!%"), ("^", "%")]
    pattern = f"LOWER({_replaced(marked, steps)})"
    return f"({value(variable)} = '' OR LOWER({column}) LIKE {pattern} ESCAPE '!')"


def is_text(column: str, variable: str) -> str:
    """Tell that a text is what is chosen, or that everything is."""
    chosen = value(variable)
    decoded = _replaced(chosen, [("%21", "!"), *_DECODED])
    return f"({chosen} = '{_ENCODED_ALL}' OR {column} = {decoded})"


def optional(expr: str, of: str) -> str:
    """Give an expression over columns that the log table may lack, for the row `of`.

    A column that it has is found in the subquery's own table; else the name is looked up outside
    of it, where only MISSING has it.
    """
    return f"(SELECT {expr} FROM logs k WHERE k.id = {of}.id)"  # noqa: S608  (no value in it)


def page(columns: tuple[str, ...], conditions: tuple[str, ...], order: str = "") -> str:
    """Give the statement that finds one page of log rows, newest first, from a moment and id on.

    Args:
        columns: of the result: of the row `p`, or optional().
        conditions: that rows `l` must meet.
        order: instead of the newest; there is one page then.
    """
    base = "l.id, l.created_at, l.type, l.channel_id, l.user_id, l.username, l.token_name"
    numbers = "l.model_name, l.prompt_tokens, l.completion_tokens, l.quota, l.content"
    # No cast: each database takes the literal for a number like its column, and uses the index.
    # What is no number is an error, 0, or later than every row.
    time, kind, number = (value(f"page_{name}") for name in ("time", "type", "id"))
    # A place outside of the range is of another range, and means the first page.
    inside = _in_range(f"CAST({time} AS DECIMAL(20))")
    moment = f"CASE WHEN {inside} THEN {time} ELSE 9999999999 END"
    below = f"l.type < {kind} OR (l.type = {kind} AND l.id < {number})"
    before = f"l.created_at <= {moment}", f"(l.created_at < {moment} OR {below})"
    where = "\n    AND ".join((IN_RANGE, *(() if order else before), *conditions))
    # By the index on (created_at, type), which every gateway of any age has, and its row id.
    newest = "{0}.created_at DESC, {0}.type DESC, {0}.id DESC"
    inner = order or newest.format("l")
    outer = "seconds DESC" if order else newest.format("p")
    limit = 20 if order else PAGE
    return (
        f"{SELECT} {', '.join(columns)}\n"  # noqa: S608  (values are encoded)
        f"FROM (\n  SELECT {base}, {numbers}\n  FROM logs l CROSS JOIN {MISSING}\n"
        f"  WHERE {where}\n  ORDER BY {inner} LIMIT {limit}\n) p CROSS JOIN {MISSING}\n"
        f"ORDER BY {outer}"
    )


SECONDS = "COALESCE(use_time, elapsed_time / 1000.0)"
"""How long a request took, in New API and in One API."""


def money(quota: str) -> str:
    """Turn quota into the currency that the gateway shows, by the dashboard's hidden rate."""
    return f"{quota} * CAST({value('money')} AS DECIMAL(40, 20))"


def _replaced(text: str, steps: list[tuple[str, str]]) -> str:
    for old, new in steps:
        quoted = new.replace("'", "''")
        text = f"REPLACE({text}, '{old}', '{quoted}')"
    return text
