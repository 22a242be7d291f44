//! Runs the proof, topic by topic, and compares with what the consumer group has committed.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::VerifyArgs;
use super::access::Access;
use super::report::{Report, print};
use crate::config::Config;
use crate::ingest;
use crate::model::{Offset, TopicPartition};
use crate::store::named_queries::{LEDGER_PROOF, LEDGER_TOTALS, SERVER_TIME, Value};
use crate::store::{ClickHouse, StoreError, check_schema};

/// Most findings that are listed: more of them say nothing more.
const FINDINGS_MAX: u32 = 1_000;
/// Most partitions (and epochs of them) that are summed up.
const PARTITIONS_MAX: u32 = 100_000;
/// How long Kafka may take for an answer.
const KAFKA_TIMEOUT: Duration = Duration::from_secs(10);
/// ClickHouse's codes for a table and a database that are not there: nothing was ever stored.
const NOTHING_THERE: [&str; 2] = ["unknown_table", "unknown_database"];

/// Something that is not accounted for exactly once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finding {
    /// `gap`, `overlap`, `numbers`, `rows` or `committed`.
    pub(super) kind: String,
    pub(super) topic: String,
    pub(super) epoch: String,
    pub(super) partition: i32,
    pub(super) offset_start: Offset,
    /// The next offset, not the last.
    pub(super) offset_end: Offset,
    pub(super) detail: String,
}

/// What the ledger says of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) topic: String,
    pub(super) epoch: String,
    pub(super) partition: i32,
    pub(super) ranges: u64,
    pub(super) messages: u64,
    pub(super) rows: u64,
    pub(super) dead_lettered: u64,
    pub(super) control: u64,
    pub(super) dropped: u64,
    pub(super) offset_from: Offset,
    /// The next offset that is expected.
    pub(super) offset_through: Offset,
    /// 1: the topic of this name that was written to last.
    pub(super) newest: u8,
}

#[derive(Deserialize)]
struct ServerTime {
    now: String,
}

/// Verifies and prints.
pub(super) async fn run(args: &VerifyArgs, config: &Config) -> anyhow::Result<ExitCode> {
    // Asked first: what is committed by now must be in the ledger when that is read.
    let committed = match &config.kafka {
        Some(kafka) if args.committed => ingest::committed(kafka, KAFKA_TIMEOUT)?,
        _ => Vec::new(),
    };
    let report = match Access::open(config, args.timeout).await? {
        None => Report::default(),
        Some(access) => {
            let verified = verify(&access.clickhouse, args.topic.as_deref().unwrap_or_default()).await;
            access.close().await?;
            verified?
        }
    };
    let report = compare(report, &committed, args.topic.as_deref());
    print(&report, args.output.output)?;
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn verify(clickhouse: &ClickHouse, topic: &str) -> anyhow::Result<Report> {
    check_schema(clickhouse).await?;
    let times: Vec<ServerTime> = clickhouse.ask(&SERVER_TIME, vec![]).await?;
    let as_of = times.into_iter().next().context("clickhouse does not tell the time")?.now;
    let one_topic = |topic: &str| ("topic", Value::Text(topic.to_owned()));
    let asked = clickhouse.ask(&LEDGER_TOTALS, vec![one_topic(topic), ("limit", Value::Count(PARTITIONS_MAX))]).await;
    let partitions: Vec<Totals> = match asked {
        Err(error @ StoreError::Refused { .. }) if NOTHING_THERE.contains(&error.code()) => Vec::new(),
        asked => asked?,
    };
    let topics: BTreeSet<&str> = partitions.iter().map(|totals| totals.topic.as_str()).collect();
    let mut findings: Vec<Finding> = Vec::new();
    // One at a time: what a topic takes of the server's memory is free again before the next.
    for topic in topics {
        let limit = Value::Count(FINDINGS_MAX + 1);
        let values = vec![one_topic(topic), ("as_of", Value::Moment(as_of.clone())), ("limit", limit)];
        findings.extend(clickhouse.ask::<Finding>(&LEDGER_PROOF, values).await?);
    }
    let further = findings.len() > FINDINGS_MAX as usize;
    findings.truncate(FINDINGS_MAX as usize);
    Ok(Report { as_of, findings, further, partitions })
}

/// Adds a finding for each partition whose committed offset the ledger does not reach.
fn compare(mut report: Report, committed: &[(TopicPartition, Offset)], topic: Option<&str>) -> Report {
    let newest = report.partitions.iter().filter(|totals| totals.newest == 1);
    let through: BTreeMap<(&str, i32), &Totals> =
        newest.map(|totals| ((totals.topic.as_str(), totals.partition), totals)).collect();
    let mut ahead = Vec::new();
    for (place, offset) in committed.iter().filter(|(place, _)| topic.is_none_or(|topic| topic == &*place.topic)) {
        let totals = through.get(&(&*place.topic, place.partition));
        let reached = totals.map_or(0, |totals| totals.offset_through);
        if *offset > reached {
            ahead.push(Finding {
                kind: "committed".to_owned(),
                topic: place.topic.to_string(),
                epoch: totals.map_or_else(String::new, |totals| totals.epoch.clone()),
                partition: place.partition,
                offset_start: reached,
                offset_end: *offset,
                detail: "committed, and not in the ledger".to_owned(),
            });
        }
    }
    report.findings.extend(ahead);
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(epoch: &str, offset_through: Offset, newest: u8) -> Totals {
        Totals {
            topic: "requests".to_owned(),
            epoch: epoch.to_owned(),
            partition: 0,
            ranges: 1,
            messages: 1,
            rows: 1,
            dead_lettered: 0,
            control: 0,
            dropped: 0,
            offset_from: 0,
            offset_through,
            newest,
        }
    }

    fn findings(offset: Offset, topic: Option<&str>) -> Vec<(Offset, Offset)> {
        let partitions = vec![totals("old", 1_000, 0), totals("new", 10, 1)];
        let report = Report { partitions, ..Report::default() };
        let place = TopicPartition { topic: "requests".into(), partition: 0 };
        let found = compare(report, &[(place, offset)], topic).findings;
        found.into_iter().map(|finding| (finding.offset_start, finding.offset_end)).collect()
    }

    #[test]
    fn what_is_committed_must_be_in_the_ledger_of_the_newest_epoch() {
        assert_eq!(findings(10, None), []);
        assert_eq!(findings(11, None), [(10, 11)]);
        assert_eq!(findings(11, Some("signals")), []);
    }

    #[test]
    fn a_commit_without_any_range_is_found() {
        let place = TopicPartition { topic: "requests".into(), partition: 4 };
        assert_eq!(compare(Report::default(), &[(place.clone(), 0)], None).findings, []);
        assert_eq!(compare(Report::default(), &[(place, 3)], None).findings.len(), 1);
    }
}
