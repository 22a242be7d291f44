//! A page as a message of a Slack incoming webhook: blocks, and a text for where blocks are not shown.

use serde_json::{Value, json};

use super::text::{Part, cut, headline, links, parts};
use crate::model::{Page, PageEvent};

/// Most blocks of a message.
const BLOCKS_MAX: usize = 50;
/// Longest text of a section, in characters as they are sent.
const SECTION_CHARS_MAX: usize = 3_000;
/// Longest text of a header, in characters.
const HEADER_CHARS_MAX: usize = 150;
/// Longest message, in characters of its JSON.
const MESSAGE_CHARS_MAX: usize = 10_000;
/// Longest text for where blocks are not shown: a line on a phone.
const FALLBACK_CHARS_MAX: usize = 500;
/// What follows when parts were left out.
const REST: &str = "_More was left out: see the links._";

/// The message. Parts come most important first; those that do not fit any more are left out, and that is said.
pub(super) fn body(page: &Page) -> Value {
    let fallback = escaped(&format!("{}: {}", headline(page), page.impact), FALLBACK_CHARS_MAX);
    let mut blocks = vec![header(page)];
    let links = link_section(page);
    // Room for the links, for saying that something was left out, and for what holds it all together.
    let taken = length(&json!({"text": fallback, "blocks": [&blocks[0], &links, section(REST)]}));
    let mut left = MESSAGE_CHARS_MAX.saturating_sub(taken);
    let mut is_cut = false;
    for part in parts(page) {
        let block = section(&part_text(&part));
        // With the comma before it.
        let length = length(&block) + 1;
        if length > left || blocks.len() + 2 >= BLOCKS_MAX {
            is_cut = true;
            break;
        }
        left -= length;
        blocks.push(block);
    }
    if is_cut {
        blocks.push(section(REST));
    }
    blocks.extend(links);
    json!({"text": fallback, "blocks": blocks})
}

fn header(page: &Page) -> Value {
    let sign = match page.event {
        PageEvent::Opened | PageEvent::Updated => ":rotating_light:",
        PageEvent::Acknowledged => ":eyes:",
        PageEvent::Resolved => ":white_check_mark:",
    };
    // Plain text is shown as it is: it needs no escapes, and is counted as it is.
    let text = cut(&format!("{sign} {}", headline(page)), HEADER_CHARS_MAX);
    json!({"type": "header", "text": {"type": "plain_text", "text": text, "emoji": true}})
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": text}})
}

fn part_text(part: &Part) -> String {
    let heading = format!("*{}*\n", part.heading);
    let room = SECTION_CHARS_MAX - heading.chars().count();
    heading + &escaped(&part.lines.join("\n"), room)
}

fn link_section(page: &Page) -> Option<Value> {
    let link = |(name, url): (&str, &str)| format!("<{}|{name}>", url_escaped(url));
    let links: Vec<String> = links(page).into_iter().map(link).filter(|link| link.len() <= 2_000).collect();
    if links.is_empty() {
        return None;
    }
    let mut text = String::new();
    for link in links {
        if text.chars().count() + link.chars().count() + 3 <= SECTION_CHARS_MAX {
            let between = if text.is_empty() { "" } else { " · " };
            text = text + between + &link;
        }
    }
    Some(section(&text))
}

/// `&`, `<` and `>` have a meaning to Slack, control characters none. At most `chars_max` characters once they are escaped, none cut in two.
fn escaped(text: &str, chars_max: usize) -> String {
    let escape = |character| match character {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        control if control.is_control() && control != '\n' => " ".to_owned(),
        other => other.to_string(),
    };
    let whole: String = text.chars().map(escape).collect();
    if whole.chars().count() <= chars_max {
        return whole;
    }
    let (mut kept, mut count) = (String::new(), 1);
    for piece in text.chars().map(escape) {
        count += piece.chars().count();
        if count > chars_max {
            break;
        }
        kept.push_str(&piece);
    }
    kept + "…"
}

/// A URL inside `<…|…>`.
fn url_escaped(url: &str) -> String {
    url.replace('&', "&amp;").replace('<', "%3C").replace('>', "%3E").replace('|', "%7C")
}

fn length(value: &Value) -> usize {
    value.to_string().chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::notify::sample;
    use crate::model::{Customer, RuledOut};

    fn texts(body: &Value) -> Vec<&str> {
        body["blocks"].as_array().unwrap().iter().map(|block| block["text"]["text"].as_str().unwrap()).collect()
    }

    #[test]
    fn a_page_that_opens() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&body(&sample::page())).unwrap());
    }

    #[test]
    fn a_page_that_is_over() {
        insta::assert_snapshot!(texts(&body(&sample::resolved_page())).join("\n---\n"));
    }

    #[test]
    fn what_means_something_to_slack_is_escaped() {
        let mut page = sample::page();
        page.impact = "a < b & c > d <!channel>".to_owned();
        page.links.incident = Some("https://x/?a=1&b=<|>".to_owned());
        let body = body(&page);
        assert!(texts(&body)[1].contains("a &lt; b &amp; c &gt; d &lt;!channel&gt;"));
        assert!(body["text"].as_str().unwrap().ends_with("&lt;!channel&gt;"));
        assert!(texts(&body).last().unwrap().starts_with("<https://x/?a=1&amp;b=%3C%7C%3E|Incident>"));
    }

    #[test]
    fn at_every_limit_the_message_holds_it_and_says_what_it_left_out() {
        for size in [10, 1_000, 2_990, 3_000, 3_010, 20_000] {
            for character in ["x", "<", "ä", "\"", "\u{1}"] {
                let text = character.repeat(size);
                let page = Page {
                    title: text.clone(),
                    impact: text.clone(),
                    actions: vec![text.clone(); 20],
                    customers: vec![Customer { subscription: text.as_str().into(), share: 0.1 }; 10],
                    ruled_out: vec![RuledOut { candidate: text.clone(), why: text.clone() }; 30],
                    ..sample::page()
                };
                let body = body(&page);
                let whole = length(&body);
                assert!(whole <= MESSAGE_CHARS_MAX, "{whole} of {size} × {character}");
                let texts = texts(&body);
                assert!(texts.len() <= BLOCKS_MAX && texts[0].chars().count() <= HEADER_CHARS_MAX);
                assert!(texts.iter().all(|text| (1..=SECTION_CHARS_MAX).contains(&text.chars().count())));
                assert_eq!(texts.contains(&REST), size > 10, "{size} × {character}");
                assert!(texts.last().unwrap().contains("|Runbook>"));
            }
        }
    }
}
