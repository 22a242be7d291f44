//! What the Kafka client tells us from inside `poll`: kept until the worker takes it, so that the worker alone owns state.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use super::super::client;

/// Something the client said.
pub(super) enum Notice {
    /// Partitions are ours from now on.
    Assign(TopicPartitionList),
    /// Partitions are no longer ours; the group waits for our agreement.
    Revoke(TopicPartitionList),
    /// Once a second.
    Statistics(Box<Statistics>),
    /// The client has trouble; it goes on by itself.
    Trouble(KafkaError, String),
}

/// Context of the group's consumer. Notices are bounded by what one `poll` can say: the worker takes them after each.
#[derive(Default)]
pub(super) struct Notices {
    list: Mutex<Vec<Notice>>,
    any: AtomicBool,
    closing: AtomicBool,
}

impl Notices {
    fn push(&self, notice: Notice) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
        self.any.store(true, Ordering::Release);
    }

    /// Whether there is anything to take; cheap enough to ask after every message.
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    pub(super) fn take(&self) -> Vec<Notice> {
        self.any.store(false, Ordering::Release);
        std::mem::take(&mut *self.list.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on revocations are agreed to at once: the worker no longer listens.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }
}

impl ClientContext for Notices {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.push(Notice::Statistics(Box::new(statistics)));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The end of a partition is asked for (`enable.partition.eof`) and told by the poll as well: no trouble.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF) {
            return;
        }
        self.push(Notice::Trouble(error, reason.to_owned()));
    }
}

impl ConsumerContext for Notices {
    /// Replaces the default, which would give a partition away before its stored offsets are committed.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let assigned = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Acquire) {
            if !assigned {
                agree_to_revocation(consumer, list);
            }
            return;
        }
        self.push(if assigned { Notice::Assign(list.clone()) } else { Notice::Revoke(list.clone()) });
    }
}

/// Takes partitions over.
pub(super) fn agree_to_assignment<C: ConsumerContext>(consumer: &BaseConsumer<C>, list: &TopicPartitionList) {
    let result = match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
        _ => consumer.assign(list),
    };
    if let Err(error) = result {
        tracing::warn!(%error, "partitions cannot be taken over");
    }
}

/// Gives partitions away.
pub(super) fn agree_to_revocation<C: ConsumerContext>(consumer: &BaseConsumer<C>, list: &TopicPartitionList) {
    let result = match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
        _ => consumer.unassign(),
    };
    if let Err(error) = result {
        tracing::warn!(%error, "partitions cannot be given away");
    }
}

/// Context of the second reader, which has no group to listen to.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level, facility, message);
    }
}

impl ConsumerContext for Quiet {}
