//! The table.

use comfy_table::{ContentArrangement, Table};

use crate::contender::Outcome;

const HEADER: [&str; 9] = [
    "contender",
    "records/s",
    "CPU µs a record",
    "of ClickHouse",
    "of the broker",
    "peak MiB",
    "rows",
    "lost",
    "twice",
];

/// What was measured, as Markdown.
pub fn table(outcomes: &[Outcome], records: u64, bytes: u64, broker: &str) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(HEADER);
    for outcome in outcomes {
        table.add_row(row(outcome, records));
    }
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let average = bytes / records.max(1);
    let mut text = format!(
        "{table}\n\n{records} records of {average} bytes; {cores} cores with {broker} and ClickHouse on them as well\n"
    );
    for outcome in outcomes.iter().filter(|outcome| outcome.rows.is_some()) {
        let tenths: Vec<String> = outcome.memory_bytes_by_tenth.iter().map(|bytes| (bytes >> 20).to_string()).collect();
        text += &format!("{}: MiB while each tenth arrived: {}\n", outcome.name, tenths.join(" "));
    }
    text
}

fn row(outcome: &Outcome, records: u64) -> Vec<String> {
    if let Some(why) = &outcome.absent {
        let mut cells = vec![outcome.name.to_owned(), why.clone()];
        cells.resize(HEADER.len(), String::new());
        return cells;
    }
    let number = |value: Option<u64>| value.map_or("–".to_owned(), |value| value.to_string());
    let done = outcome.rows.unwrap_or(records).max(1) as f64;
    let cpu = |time: Option<std::time::Duration>| {
        time.map_or("–".to_owned(), |time| format!("{:.2}", time.as_secs_f64() * 1e6 / done))
    };
    let lost = outcome.distinct.map(|distinct| records.saturating_sub(distinct));
    let twice = outcome.rows.zip(outcome.distinct).map(|(rows, distinct)| rows.saturating_sub(distinct));
    vec![
        outcome.name.to_owned(),
        format!("{:.0}", outcome.records_per_second),
        cpu(outcome.own_cpu),
        cpu(outcome.clickhouse_cpu),
        cpu(Some(outcome.broker_cpu)),
        number(outcome.peak_memory_bytes.map(|bytes| bytes >> 20)),
        number(outcome.rows),
        number(lost),
        number(twice),
    ]
}
