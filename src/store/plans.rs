//! Answers ingest's question where to go on, for brokers that lose the metadata of commits.
//!
//! Such a broker may also be one that forgets topics. A partition that nobody has committed for gets an epoch of its own,
//! noted before anything is committed, so that the ledger of an earlier topic of the same name is not taken for its own.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;

use super::rows::intent;
use super::{ClickHouse, StoreError};
use crate::clock;
use crate::model::{Offset, Plan, PlanAnswer, PlanRequest, TopicPartition};

const SELECT_EPOCH: &str = include_str!("../../queries/recovery/epoch.sql");
const SELECT_RANGES: &str = include_str!("../../queries/recovery/ranges.sql");
/// Pause before a question is asked again that ClickHouse has not answered.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Epoch {
    epoch: String,
}

#[derive(Deserialize)]
struct Range {
    stored: bool,
    offset_start: Offset,
    offset_end: Offset,
}

/// Answers until nobody asks any more. `reader` may select, `writer` insert. While ClickHouse is away, questions wait.
pub async fn answer_plans(
    reader: ClickHouse,
    writer: ClickHouse,
    mut requests: mpsc::Receiver<PlanRequest>,
    answers: mpsc::Sender<PlanAnswer>,
) {
    while let Some(request) = requests.recv().await {
        let plan = loop {
            match plan(&reader, &writer, &request).await {
                Ok(plan) => break plan,
                Err(error) => {
                    tracing::warn!(%error, topic_partition = %request.topic_partition,
                        "clickhouse cannot say where storage goes on; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        let PlanRequest { topic_partition, assignment, .. } = request;
        if answers.send(PlanAnswer { topic_partition, assignment, plan }).await.is_err() {
            return;
        }
    }
}

async fn plan(reader: &ClickHouse, writer: &ClickHouse, request: &PlanRequest) -> Result<Plan, StoreError> {
    let PlanRequest { topic_partition, committed, epoch, .. } = request;
    let partition = topic_partition.partition.to_string();
    let of = [("topic", &*topic_partition.topic), ("partition", partition.as_str())];
    let known = match committed {
        Some(_) => reader.fetch::<Epoch>(SELECT_EPOCH, &of).await?.pop(),
        None => None,
    };
    let Some((epoch, committed)) = known.map(|known| known.epoch).zip(*committed) else {
        return Ok(Plan { epoch: begin(writer, topic_partition, epoch).await?, start: *committed, ends: Vec::new() });
    };
    let text = committed.to_string();
    let parameters = [of[0], of[1], ("epoch", epoch.as_str()), ("committed", text.as_str())];
    let ranges: Vec<Range> = reader.fetch(SELECT_RANGES, &parameters).await?;
    let which = |stored: bool| -> Vec<(Offset, Offset)> {
        ranges.iter().filter(|range| range.stored == stored).map(|r| (r.offset_start, r.offset_end)).collect()
    };
    Ok(Plan::from_ledger(epoch.into(), committed, &which(true), &which(false)))
}

/// Notes a new epoch of a partition, as an empty range.
async fn begin(writer: &ClickHouse, topic_partition: &TopicPartition, topic_id: &str) -> Result<Arc<str>, StoreError> {
    let epoch: Arc<str> = format!("{topic_id}@{:x}", clock::now().as_millis()).into();
    writer.insert("ingest_intents", intent(topic_partition, &epoch, 0, 0), None).await?;
    Ok(epoch)
}
