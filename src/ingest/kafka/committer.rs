//! Commits, one at a time, on a thread of their own: a slow group coordinator must not slow detection down.
//!
//! One at a time, because a note that was acknowledged must not be overtaken by an older one that is tried again.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::context::Notices;

/// What one request to the broker commits.
pub(super) type Commits = TopicPartitionList;

/// The way to the thread.
pub(super) struct Committer {
    requests: Option<SyncSender<Commits>>,
    thread: Option<JoinHandle<()>>,
    answers: Receiver<Result<(), KafkaError>>,
    is_asking: bool,
}

impl Committer {
    pub(super) fn start(consumer: Arc<BaseConsumer<Notices>>) -> std::io::Result<Self> {
        let (requests, requested) = sync_channel::<Commits>(1);
        let (answer, answers) = sync_channel(1);
        let thread = std::thread::Builder::new().name("commit".to_owned()).spawn(move || {
            for commits in requested {
                if answer.send(consumer.commit(&commits, CommitMode::Sync)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { requests: Some(requests), thread: Some(thread), answers, is_asking: false })
    }

    /// Whether the broker has yet to answer.
    pub(super) fn is_asking(&self) -> bool {
        self.is_asking
    }

    /// Asks the broker. Only when nothing is asked.
    pub(super) fn ask(&mut self, commits: Commits) {
        debug_assert!(!self.is_asking, "one commit at a time");
        // The thread ends only with this.
        self.is_asking = self.requests.as_ref().is_some_and(|requests| requests.try_send(commits).is_ok());
    }

    /// The broker's answer, if it comes within `timeout`.
    pub(super) fn answer(&mut self, timeout: Duration) -> Option<Result<(), KafkaError>> {
        if !self.is_asking {
            return None;
        }
        match self.answers.recv_timeout(timeout) {
            Ok(answer) => {
                self.is_asking = false;
                Some(answer)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }
}

impl Drop for Committer {
    /// Ends the thread and waits for it, so that it does not keep the consumer in its group. A thread whose commit is not
    /// answered is left alone: it ends with its answer.
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take().filter(|_| !self.is_asking)
            && thread.join().is_err()
        {
            tracing::error!("the thread of commits ended by a panic");
        }
    }
}
