//! Words of strangers in Markdown, in a terminal, in a spreadsheet and in names of files.

/// Longest name of a file, in bytes, before its extension.
const STEM_BYTES_MAX: usize = 120;

/// Text for a terminal: what is not to be seen (escape sequences, changes of direction) becomes a replacement character.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|character| if is_hidden(character) { '\u{fffd}' } else { character }).collect()
}

fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Text within a paragraph, a list or a table of Markdown: none of it is markup, or HTML.
pub(super) fn inline(text: &str) -> String {
    let characters: Vec<char> = plain(text).chars().collect();
    let mut out = String::with_capacity(text.len() + 8);
    for (index, character) in characters.iter().enumerate() {
        let is_word = |at: Option<&char>| at.is_some_and(|c| c.is_alphanumeric());
        let within =
            is_word(index.checked_sub(1).and_then(|at| characters.get(at))) && is_word(characters.get(index + 1));
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Between letters it is none of Markdown's signs, and names are full of it.
            '_' if within => out.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '!' | '#' => {
                out.push('\\');
                out.push(*character);
            }
            other => out.push(*other),
        }
    }
    out
}

/// A cell of a table that a spreadsheet opens: a formula becomes a text.
pub(super) fn cell(text: &str) -> String {
    let begins = text.trim_start_matches([' ', '\u{a0}', '\u{feff}']).chars().next();
    let is_formula =
        begins.is_some_and(|c| matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠'));
    let text = text.replace('\0', "\u{fffd}");
    if is_formula { format!("'{text}") } else { text }
}

/// An incident's identity as a name of files: it may come from a file of somebody else's.
#[must_use]
pub fn file_stem(incident: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    let stem: String = incident.chars().map(|c| if is_plain(c) { c } else { '-' }).take(STEM_BYTES_MAX).collect();
    let stem = stem.trim_start_matches('.');
    if stem.is_empty() { "incident".to_owned() } else { stem.to_owned() }
}

/// A word of a command line of a POSIX shell.
pub(super) fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/=,+@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", plain(text).replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_strangers_are_no_markup() {
        assert_eq!(
            inline("<img src=x> a|b *c* client_version _d_ [x](y)"),
            "&lt;img src=x&gt; a\\|b \\*c\\* client_version \\_d\\_ \\[x\\](y)"
        );
        assert_eq!(inline("a\nb\u{1b}[31m"), "a\u{fffd}b\u{fffd}\\[31m");
    }

    #[test]
    fn formulas_become_texts() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1"] {
            assert!(cell(formula).starts_with('\''), "{formula:?}");
        }
        assert_eq!(cell("sub-1001"), "sub-1001");
    }

    #[test]
    fn an_identity_leaves_no_directory() {
        assert_eq!(file_stem("../../etc/passwd"), "-..-etc-passwd");
        assert_eq!(file_stem("20260309T100430Z-retry-amplification-9c0f"), "20260309T100430Z-retry-amplification-9c0f");
        assert_eq!((file_stem(""), file_stem("..")), ("incident".to_owned(), "incident".to_owned()));
    }

    #[test]
    fn a_shell_takes_a_word_for_a_word() {
        assert_eq!(shell_word("from=2026-03-09T10:00:00Z"), "from=2026-03-09T10:00:00Z");
        assert_eq!(shell_word("subscription=a'; rm -rf $HOME"), "'subscription=a'\\''; rm -rf $HOME'");
    }
}
