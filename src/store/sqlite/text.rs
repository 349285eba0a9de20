//! The text of a statement as SQLite binds it fastest.
//!
//! The nouns number their parameters (`$1`), which both databases understand. To SQLite `$1` is a name, and names are looked up
//! in a list: binding a statement of many rows would cost the square of its parameters. Where the parameters come in order and
//! each once, a plain `?` means the same, and its place needs no look-up. Other texts stay as they are; they are short.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

/// By address and length: a text that lives for ever is the same text wherever it is used.
type Texts = HashMap<(usize, usize), Option<Arc<str>>>;

static TEXTS: LazyLock<RwLock<Texts>> = LazyLock::new(RwLock::default);

/// The text to run for `sql`; made once for each.
pub(super) fn text_of(sql: &'static str) -> SqlStr {
    match plain_text_of(sql) {
        Some(plain) => AssertSqlSafe(plain).into_sql_str(),
        None => sql.into_sql_str(),
    }
}

/// One text for statements that are run one after another, their values in one list; `None` if one of them needs its numbers.
pub(super) fn script_of(statements: impl Iterator<Item = &'static str>) -> Option<SqlStr> {
    let texts = statements.map(plain_text_of).collect::<Option<Vec<_>>>()?;
    match &*texts {
        [one] => Some(AssertSqlSafe(one.clone()).into_sql_str()),
        many => Some(AssertSqlSafe(many.join(";\n")).into_sql_str()),
    }
}

fn plain_text_of(sql: &'static str) -> Option<Arc<str>> {
    let key = (sql.as_ptr().addr(), sql.len());
    let known = TEXTS.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    known.unwrap_or_else(|| {
        let plain: Option<Arc<str>> = without_numbers(sql).map(Arc::from);
        TEXTS.write().unwrap_or_else(PoisonError::into_inner).insert(key, plain.clone());
        plain
    })
}

/// The text with `?` for its parameters; `None` if they do not come in order, each once.
fn without_numbers(sql: &str) -> Option<String> {
    let mut parts = sql.split('$');
    let mut plain = String::with_capacity(sql.len());
    plain.push_str(parts.next()?);
    for (place, part) in (1_usize..).zip(parts) {
        let end = part.find(|next: char| !next.is_ascii_digit()).unwrap_or(part.len());
        let (number, rest) = part.split_at(end);
        if number.parse() != Ok(place) {
            return None;
        }
        plain.push('?');
        plain.push_str(rest);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_in_order_need_no_numbers() {
        let cases = [
            ("SELECT 1", Some("SELECT 1")),
            ("INSERT INTO t VALUES ($1, $2), ($3, $4)", Some("INSERT INTO t VALUES (?, ?), (?, ?)")),
            ("SELECT a FROM t WHERE a = $1", Some("SELECT a FROM t WHERE a = ?")),
            ("SELECT a FROM t WHERE a = $2 AND b = $1", None),
            ("SELECT a FROM t WHERE a = $1 AND b = $1", None),
            ("SELECT a FROM t WHERE a = $name", None),
        ];
        for (sql, expected) in cases {
            assert_eq!(without_numbers(sql).as_deref(), expected, "{sql}");
        }
    }

    #[test]
    fn a_text_is_made_once() {
        let sql = "SELECT $1, $2";
        let (first, second) = (text_of(sql), text_of(sql));
        assert_eq!(first.as_str(), "SELECT ?, ?");
        assert!(std::ptr::eq(first.as_str(), second.as_str()));
        assert_eq!(text_of("SELECT $1, $1").as_str(), "SELECT $1, $1");
    }

    #[test]
    fn a_script_joins_what_needs_no_numbers() {
        let script = |texts: &[&'static str]| script_of(texts.iter().copied()).map(|text| text.as_str().to_owned());
        assert_eq!(script(&["SELECT $1", "SELECT $1, $2"]).as_deref(), Some("SELECT ?;\nSELECT ?, ?"));
        assert_eq!(script(&["SELECT $1", "SELECT $1, $1"]), None);
    }
}
