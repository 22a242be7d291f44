//! `badge.svg`, a picture of one line, and `badge.json`, for shields.io's endpoint badge.

use serde::Serialize;

use super::{PublicFile, Verdict};
use crate::status::{Board, Impact};
use crate::xml_text::escaped;

/// Letters of the page's name; more of it is cut off.
const LABEL_CHARS_MAX: usize = 40;
/// Width of a letter of 11 pixels, on average; the text is then fitted to it.
const LETTER_WIDTH_PX: usize = 7;
const PADDING_PX: usize = 6;
const HEIGHT_PX: usize = 20;

/// What shields.io reads.
#[derive(Serialize)]
struct Shield {
    #[serde(rename = "schemaVersion")]
    schema_version: u8,
    label: String,
    message: &'static str,
    color: &'static str,
}

/// Both.
pub(super) fn files(board: &Board) -> [PublicFile; 2] {
    let verdict = Verdict::of(board);
    let (label, message, color) = (label(&board.page.name), verdict.words(), color(&verdict));
    let picture = picture(&label, message, color, &verdict.description());
    [
        PublicFile::new("badge.svg", "image/svg+xml", picture),
        PublicFile::json("badge.json", &Shield { schema_version: 1, label, message, color }),
    ]
}

fn label(name: &str) -> String {
    let mut letters = name.chars();
    let mut label: String = letters.by_ref().take(LABEL_CHARS_MAX).collect();
    if letters.next().is_some() {
        label.push('…');
    }
    label
}

/// White text on it has a contrast of 4.5 and more.
fn color(verdict: &Verdict) -> &'static str {
    match verdict.known {
        _ if verdict.is_unknown_first() => "#57606a",
        Impact::None => "#1a7f37",
        Impact::Maintenance => "#0969da",
        Impact::Minor => "#8a5d00",
        Impact::Major => "#b04a00",
        Impact::Critical => "#b91c1c",
    }
}

fn picture(label: &str, message: &str, color: &str, description: &str) -> String {
    let text_width = |text: &str| text.chars().count() * LETTER_WIDTH_PX;
    let (left, right) = (text_width(label) + 2 * PADDING_PX, text_width(message) + 2 * PADDING_PX);
    let width = left + right;
    let text = |x: usize, content: &str| {
        let (length, content) = (text_width(content), escaped(content));
        format!("<text x=\"{x}\" y=\"14\" textLength=\"{length}\" lengthAdjust=\"spacingAndGlyphs\">{content}</text>")
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{HEIGHT_PX}\" role=\"img\" \
         aria-label=\"{label}: {message}\">\n<title>{label}: {description}</title>\n\
         <rect width=\"{left}\" height=\"{HEIGHT_PX}\" fill=\"#444c56\"/>\n\
         <rect x=\"{left}\" width=\"{right}\" height=\"{HEIGHT_PX}\" fill=\"{color}\"/>\n\
         <g fill=\"#fff\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">{}{}</g>\n</svg>\n",
        text(PADDING_PX, label),
        text(left + PADDING_PX, message),
        label = escaped(label),
        description = escaped(description),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::samples::board;
    use crate::status::{ComponentState, Freshness};

    #[test]
    fn the_badge_of_an_ordinary_bad_day() {
        let [picture, shield] = files(&board());
        insta::assert_snapshot!(String::from_utf8(picture.body).unwrap());
        let expected = r##"{"schemaVersion":1,"label":"Acme <API>","message":"partial outage","color":"#b04a00"}"##;
        assert_eq!(String::from_utf8(shield.body).unwrap(), expected);
    }

    #[test]
    fn it_is_not_green_when_nothing_is_known() {
        let mut board = board();
        board.incidents.clear();
        board.freshness = Freshness::Unknown;
        board.components.iter_mut().for_each(|component| component.state = ComponentState::Unknown);
        let [picture, _] = files(&board);
        let picture = String::from_utf8(picture.body).unwrap();
        assert!(picture.contains("#57606a") && picture.contains(": unknown\"") && !picture.contains("#1a7f37"));
        assert!(picture.contains("Status unknown: no data since 2026-04-29T12:53:15.000Z</title>"));
    }

    /// Relative luminance as WCAG 2 has it.
    fn luminance(color: &str) -> f64 {
        let channel = |at: usize| f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap()) / 255.0;
        let linear = |c: f64| if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
        0.2126 * linear(channel(1)) + 0.7152 * linear(channel(3)) + 0.0722 * linear(channel(5))
    }

    #[test]
    fn every_colour_can_be_read() {
        let verdict = Verdict::of(&board());
        let impacts = [Impact::None, Impact::Maintenance, Impact::Minor, Impact::Major, Impact::Critical];
        let known = impacts.map(|known| color(&Verdict { known, ..verdict.clone() }));
        let unknown = color(&Verdict { known: Impact::None, is_unknown: true, ..verdict });
        for color in known.into_iter().chain([unknown, "#444c56"]) {
            let contrast = 1.05 / (luminance(color) + 0.05);
            assert!(contrast >= 4.5, "{color}: {contrast}");
        }
    }

    #[test]
    fn long_and_hostile_names_stay_small_and_text() {
        let label = label(&"<script>&\"'".repeat(100));
        assert_eq!(label.chars().count(), LABEL_CHARS_MAX + 1);
        let picture = picture(&label, "operational", "#1a7f37", "x");
        assert!(!picture.contains("<script") && picture.len() < 2_000, "{picture}");
    }
}
