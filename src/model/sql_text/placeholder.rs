//! `{database}` in texts of people: it stands for the database where a name may stand, and is itself in literals, quoted
//! names and comments.

use super::lexer::{Lexer, Token};

/// The text with `database` for each `{database}` that stands as a name.
#[must_use]
pub fn sql_with_database(text: &str, database: &str) -> String {
    let tokens: Vec<Token<'_>> = Lexer::new(text).collect();
    let (mut whole, mut done) = (String::with_capacity(text.len()), 0);
    for three in tokens.windows(3) {
        let [open, name, close] = three else { continue };
        let is_together = name.start == open.start + 1 && close.start == name.start + name.text.len();
        if is_together && open.is("{") && name.text == "database" && close.is("}") {
            whole.push_str(&text[done..open.start]);
            whole.push_str(database);
            done = close.start + 1;
        }
    }
    whole.push_str(&text[done..]);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_for_the_database_where_a_name_stands_and_nowhere_else() {
        for (text, expected) in [
            ("SELECT 1 FROM {database}.requests", "SELECT 1 FROM fm.requests"),
            ("SELECT 1 FROM {database} . a, {database}.b", "SELECT 1 FROM fm . a, fm.b"),
            ("{database}", "fm"),
            ("SELECT '{database}', '\\'{database}', 'it''s {database}'", "="),
            ("SELECT 1 -- {database}\nFROM {database}.a", "SELECT 1 -- {database}\nFROM fm.a"),
            ("SELECT 1 /* {database} /* */ {database} */ FROM a", "="),
            ("SELECT `{database}`, \"{database}\", $${database}$$, $q${database}$q$", "="),
            ("SELECT {database:String}, { database }, {databases}, {Database}, {{database", "="),
            ("SELECT '{database}", "="),
            ("é{database}é", "éfmé"),
            ("", "="),
        ] {
            let expected = if expected == "=" { text } else { expected };
            assert_eq!(sql_with_database(text, "fm"), expected, "{text}");
        }
    }
}
