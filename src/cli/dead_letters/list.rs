//! `floodmark dead-letters list`.

use std::collections::BTreeMap;

use serde_json::json;

use super::{ListArgs, print};
use crate::cli::output::{OutputFormat, table};
use crate::clock;
use crate::config::KafkaConfig;
use crate::ingest::{LetterReader, Placed, StoredLetter};
use crate::model::Timestamp;

/// What a table shows of a record, in characters.
const EXCERPT_CHARACTERS_MAX: usize = 80;

#[derive(Default)]
struct Group {
    letters: u64,
    newest: Timestamp,
}

#[derive(Default)]
struct Found {
    letters: u64,
    replayed: u64,
    /// By reason and decoder.
    groups: BTreeMap<(String, String), Group>,
    examples: Vec<Placed>,
}

pub(super) fn run(args: &ListArgs, kafka: &KafkaConfig) -> anyhow::Result<()> {
    let since = args.since.map(|age| clock::now().plus(-i64::try_from(age.as_millis()).unwrap_or(i64::MAX)));
    let reader = LetterReader::new(kafka);
    let settled = reader.settled()?;
    let mut found = Found { replayed: settled.replayed, ..Found::default() };
    reader.letters(settled, &mut |placed, _| {
        let wanted = since.is_none_or(|since| placed.written >= since)
            && args.reason.as_ref().is_none_or(|reason| *reason == placed.letter.reason);
        if wanted {
            found.add(placed, args.limit.into());
        }
        Ok(())
    })?;
    found.keep_newest(args.limit.into());
    print(&match args.output.output {
        OutputFormat::Table => found.as_table(),
        OutputFormat::Json => found.as_json(),
    })
}

impl Found {
    fn add(&mut self, placed: Placed, examples_max: usize) {
        self.letters += 1;
        let group = self.groups.entry((placed.letter.reason.clone(), placed.letter.decoder.clone())).or_default();
        group.letters += 1;
        group.newest = group.newest.max(placed.written);
        self.examples.push(placed);
        if self.examples.len() >= examples_max * 2 + 100 {
            self.keep_newest(examples_max);
        }
    }

    /// Examples in the order written, the newest last.
    fn keep_newest(&mut self, examples_max: usize) {
        self.examples.sort_by_key(|placed| placed.written);
        self.examples.drain(..self.examples.len().saturating_sub(examples_max));
    }

    fn as_json(&self) -> String {
        let groups: Vec<_> = self
            .groups
            .iter()
            .map(|((reason, decoder), group)| {
                json!({"reason": reason, "decoder": decoder, "letters": group.letters, "newest": group.newest})
            })
            .collect();
        let example = |placed: &Placed| json!({"written": placed.written, "letter": placed.letter});
        let examples: Vec<_> = self.examples.iter().map(example).collect();
        let value = json!({"letters": self.letters, "replayed": self.replayed, "groups": groups, "examples": examples});
        format!("{value:#}")
    }

    fn as_table(&self) -> String {
        let total = format!("{} letters wait; {} were replayed.", self.letters, self.replayed);
        if self.letters == 0 {
            return total;
        }
        let mut groups = table(["reason", "decoder", "letters", "newest"]);
        for ((reason, decoder), group) in &self.groups {
            groups.add_row([reason.clone(), decoder.clone(), group.letters.to_string(), group.newest.to_string()]);
        }
        let mut parts = vec![groups.trim_fmt()];
        if !self.examples.is_empty() {
            let mut examples = table(["position", "reason", "message", "record"]);
            for Placed { letter, .. } in &self.examples {
                let StoredLetter { topic, partition, offset, index, reason, message, .. } = letter;
                let position = format!("{topic}[{partition}]@{offset}#{index}");
                examples.add_row([position, reason.clone(), message.clone(), excerpt(letter)]);
            }
            parts.push(examples.trim_fmt());
        }
        parts.push(total);
        parts.join("\n\n")
    }
}

/// The beginning of the record, printable.
fn excerpt(letter: &StoredLetter) -> String {
    let text = match (&letter.payload, &letter.payload_base64) {
        (Some(text), _) => text.escape_debug().take(EXCERPT_CHARACTERS_MAX + 1).collect::<String>(),
        (None, Some(encoded)) => format!("base64 {}", encoded.chars().take(EXCERPT_CHARACTERS_MAX).collect::<String>()),
        (None, None) => "(with the first letter of the record)".to_owned(),
    };
    match text.char_indices().nth(EXCERPT_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
