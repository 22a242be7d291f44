//! Storage as the service sees it: a ClickHouse that is started or connected to, its schema, and the tasks that write.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::api::{Component, ComponentStatus, Health};
use crate::clock;
use crate::config::{Config, Secret, StoreConfig};
use crate::local::{EngineState, LocalClickHouse, LocalClickHouseOptions};
use crate::metrics::{Metrics, StoreDelta};
use crate::model::{Batch, Output, PagingRecord, PlanAnswer, PlanRequest, Stored};
use crate::query::QueryDesk;
use crate::shutdown::{Stage, TaskError, Tasks};
use crate::store::{
    ClickHouse, Endpoint, MigrationError, StoreHealth, StoreTask, Takeover, Writer, answer_plans, apply_retention,
    close_unknown_incidents, migrate,
};

/// How long the end of reading waits for storage to confirm what it has; what it does not is read again.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(4);
/// How long the end waits for a ClickHouse that is away to come back: long enough for a hiccup, not for an outage.
const AWAY_PATIENCE: Duration = Duration::from_secs(3);
/// Pause between tries to prepare the schema while ClickHouse is away.
const SCHEMA_PAUSE: Duration = Duration::from_secs(2);

/// ClickHouse, local or elsewhere.
#[derive(Debug, Clone)]
pub struct Storage {
    /// May create tables.
    admin: Endpoint,
    /// May insert.
    writer: Endpoint,
    /// May read.
    reader: Endpoint,
    /// Asks questions of others.
    desk: Endpoint,
}

/// What comes to storage, and where its answers go.
#[derive(Debug)]
pub struct Queues {
    /// Batches to be written.
    pub batches: mpsc::Receiver<Batch>,
    /// Transitions and incidents to be written.
    pub outputs: mpsc::Receiver<Output>,
    /// Pages and silences to be written.
    pub records: mpsc::Receiver<PagingRecord>,
    /// What was written.
    pub stored: mpsc::Sender<Stored>,
    /// Questions where to go on.
    pub plan_requests: mpsc::Receiver<PlanRequest>,
    /// Answers from the ledger.
    pub plans: mpsc::Sender<PlanAnswer>,
    /// What detection knows of incidents once it is where the process before it was.
    pub takeover: oneshot::Receiver<Takeover>,
}

impl Storage {
    /// Starts the local engine when no URL is configured. A ClickHouse elsewhere is not asked yet: it may be away.
    pub async fn start(config: &Config, tasks: &mut Tasks, metrics: &Arc<Metrics>) -> anyhow::Result<Self> {
        match &config.clickhouse.url {
            Some(url) => Self::remote(config, url),
            None => Self::local(config, tasks, metrics).await,
        }
    }

    fn remote(config: &Config, url: &str) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_config(&config.clickhouse, url)?;
        let desk = match &config.query.user {
            Some(user) => {
                let password = config.query.secret().context("query.password_file")?.unwrap_or_default();
                Endpoint { user: user.clone(), password, ..endpoint.clone() }
            }
            None => endpoint.clone(),
        };
        Ok(Self { admin: endpoint.clone(), writer: endpoint.clone(), reader: endpoint, desk })
    }

    async fn local(config: &Config, tasks: &mut Tasks, metrics: &Arc<Metrics>) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find the path of this program")?;
        let options = LocalClickHouseOptions::new(program, &config.local, &config.clickhouse.database);
        let engine = LocalClickHouse::start(options).await?;
        let user = |credentials: &crate::local::Credentials| {
            endpoint(config, engine.url(), credentials.user, &credentials.password)
        };
        let users = engine.users();
        let storage = Self {
            admin: user(&users.admin),
            writer: user(&users.writer),
            reader: user(&users.reader),
            desk: user(&users.desk),
        };
        count_restarts(tasks, engine.state(), Arc::clone(metrics));
        let stop = tasks.token(Stage::Engines);
        tasks.spawn(Stage::Engines, "clickhouse", async move {
            stop.cancelled().await;
            Ok(engine.shutdown().await?)
        });
        Ok(storage)
    }

    /// A client that may read.
    #[must_use]
    pub fn reader(&self) -> ClickHouse {
        ClickHouse::new(&self.reader)
    }

    /// A client that may read, and not much at a time.
    #[must_use]
    pub fn protected_reader(&self, timeout: Duration, rows_max: usize) -> ClickHouse {
        ClickHouse::protected(&self.reader, timeout, rows_max)
    }

    /// Where questions of others are asked.
    #[must_use]
    pub fn desk(&self, config: &Config, metrics: &Arc<Metrics>) -> QueryDesk {
        QueryDesk::new(&self.desk, &config.query, metrics)
    }

    /// A command line that asks the ClickHouse of a demo, with the rights of a reader. It holds the reader's password, so
    /// it is for a terminal only.
    #[must_use]
    pub fn example_query(&self) -> String {
        let Endpoint { url, database, user, password, .. } = &self.reader;
        let password = password.expose();
        format!("curl -s {url} --user {user}:{password} --data-binary 'SELECT count() FROM {database}.requests'")
    }

    /// Starts the task that prepares the schema and then writes.
    pub fn spawn_writers(
        &self,
        config: &Config,
        tasks: &mut Tasks,
        queues: Queues,
        metrics: &Arc<Metrics>,
        health: &Arc<Health>,
    ) {
        let (admin, writer, reader) = (ClickHouse::new(&self.admin), ClickHouse::new(&self.writer), self.reader());
        let store = config.store.clone();
        let (metrics, health) = (Arc::clone(metrics), Arc::clone(health));
        let stop = tasks.token(Stage::Store);
        tasks.spawn(Stage::Store, "store", async move {
            tokio::select! {
                prepared = prepare(&admin, &store, &health) => prepared?,
                () = stop.cancelled() => return Ok(()),
            }
            let Queues { batches, outputs, records, stored, plan_requests, plans, takeover } = queues;
            let closer = tokio::spawn(close_unknown_incidents(writer.clone(), takeover));
            let planner = tokio::spawn(answer_plans(reader, writer.clone(), plan_requests, plans));
            write(Writer::new(writer), (batches, outputs, records, stored), &metrics, &health, &stop).await;
            planner.abort();
            closer.abort();
            Ok(())
        });
    }
}

fn endpoint(config: &Config, url: &str, user: &str, password: &str) -> Endpoint {
    Endpoint {
        url: url.to_owned(),
        database: config.clickhouse.database.clone(),
        user: user.to_owned(),
        password: Secret::new(password),
        timeout: config.clickhouse.timeout.0,
        // The local engine speaks plain HTTP on loopback.
        tls: None,
    }
}

/// Creates or checks the schema. A schema that is not this binary's ends the service: its rows would have no place.
/// Whatever else is wrong is waited out, because detection works without storage.
async fn prepare(admin: &ClickHouse, store: &StoreConfig, health: &Health) -> Result<(), TaskError> {
    loop {
        let error = match migrate(admin).await {
            Ok(_) => match apply_retention(admin, &store.retention).await {
                Ok(_) => break,
                Err(error) => error.to_string(),
            },
            Err(MigrationError::Store(error)) => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        tracing::warn!(error, "clickhouse cannot be prepared yet; detection goes on, storage waits");
        health.set(Component::Clickhouse, ComponentStatus::Down, &error, clock::now());
        tokio::time::sleep(SCHEMA_PAUSE).await;
    }
    health.set(Component::Clickhouse, ComponentStatus::Ok, "", clock::now());
    Ok(())
}

/// Writes until all queues are closed, or until the end comes while ClickHouse is away: waiting on would change
/// nothing, for reading has ended by then and reads again at the next start what was not confirmed to it.
async fn write(
    writer: Writer,
    (batches, outputs, records, stored): (
        mpsc::Receiver<Batch>,
        mpsc::Receiver<Output>,
        mpsc::Receiver<PagingRecord>,
        mpsc::Sender<Stored>,
    ),
    metrics: &Arc<Metrics>,
    health: &Arc<Health>,
    stop: &CancellationToken,
) {
    let (task, mut state) = StoreTask::new(writer);
    let mut state_at_end = state.clone();
    let given_up = async {
        stop.cancelled().await;
        tokio::time::sleep(AWAY_PATIENCE).await;
        // The sender lives in the task, which outlives this.
        let _ = state_at_end.wait_for(|state| matches!(state, StoreHealth::Down { .. })).await;
        tracing::warn!("clickhouse is away at the end; what it has not stored is read again at the next start");
    };
    metrics.set_store_up(true);
    let (confirmed, confirmations) = mpsc::channel(1);
    let counted = count_and_confirm(confirmations, stored, metrics);
    let watched = async {
        while state.changed().await.is_ok() {
            let now = clock::now();
            match &*state.borrow_and_update() {
                StoreHealth::Up => {
                    metrics.set_store_up(true);
                    health.set(Component::Clickhouse, ComponentStatus::Ok, "", now);
                }
                StoreHealth::Down { code, message, .. } => {
                    metrics.set_store_up(false);
                    metrics.add_store_error(code);
                    health.set(Component::Clickhouse, ComponentStatus::Down, message, now);
                }
            }
        }
    };
    let written = async {
        tokio::join!(task.run_batches(batches, confirmed), task.run_outputs(outputs), task.run_paging(records));
    };
    tokio::select! {
        ((), ()) = async { tokio::join!(written, counted) } => {}
        () = watched => {}
        () = given_up => {}
    }
}

/// Counts what is stored and tells reading, until either side has gone. Owns both ends: when reading has gone, the writer
/// must find nobody listening instead of waiting for ever to be heard.
async fn count_and_confirm(mut from: mpsc::Receiver<Stored>, to: mpsc::Sender<Stored>, metrics: &Metrics) {
    while let Some(range) = from.recv().await {
        metrics.add_stored(StoreDelta { batches: 1, rows: range.rows, bytes: 0, retries: 0 });
        if to.send(range).await.is_err() {
            return;
        }
    }
}

fn count_restarts(tasks: &mut Tasks, mut state: watch::Receiver<EngineState>, metrics: Arc<Metrics>) {
    let stop = tasks.token(Stage::Engines);
    tasks.spawn(Stage::Engines, "clickhouse watch", async move {
        let mut down = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = state.changed() => if changed.is_err() {
                    // The engine's keeper is gone; its own task says why.
                    stop.cancelled().await;
                    return Ok(());
                }
            }
            match &*state.borrow_and_update() {
                EngineState::Down { why, .. } => {
                    tracing::error!(why, "the local clickhouse ended; it is restarted");
                    down = true;
                }
                EngineState::Running { .. } if down => {
                    metrics.add_clickhouse_restart();
                    down = false;
                }
                EngineState::Running { .. } | EngineState::Starting | EngineState::Stopped => {}
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TopicPartition;

    #[tokio::test]
    async fn a_writer_with_several_batches_is_not_kept_when_reading_has_gone() {
        let (confirmed, confirmations) = mpsc::channel(1);
        let (stored, reading) = mpsc::channel(1);
        drop(reading);
        let writer = async move {
            let topic_partition = TopicPartition { topic: "requests".into(), partition: 0 };
            let range = Stored { topic_partition, start: 0, end: 1, rows: 1 };
            // The writer returns with the first that nobody takes.
            while confirmed.send(range.clone()).await.is_ok() {}
        };
        let metrics = Metrics::new();
        let ended = async { tokio::join!(writer, count_and_confirm(confirmations, stored, &metrics)) };
        tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the writer waits to be heard");
    }
}
