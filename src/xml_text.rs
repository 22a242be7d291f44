//! Text inside XML: what JUnit reports, pictures and feeds have in common.

/// Text for XML; characters that XML 1.0 cannot hold become spaces.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            character if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            character => out.push(character),
        }
    }
    out
}
