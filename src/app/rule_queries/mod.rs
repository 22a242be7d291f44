//! The queries of rules: asked on ClickHouse in a lane of their own, their rows told to the core as signals. What they come
//! to is in the log like everything else, so that a replay gives the same alerts.
//!
//! A query that fails is asked again, sooner than it would be otherwise, for ever; its failures are signals too.

mod answer;
mod keeper;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use self::keeper::Keeper;
use self::status::{Statuses, show};
use super::storage::Storage;
use crate::alert::Rules;
use crate::api::Health;
use crate::clock;
use crate::detect::QueryRuleSpec;
use crate::ingest::Intake;
use crate::metrics::Metrics;
use crate::model::{AlertName, Event};
use crate::shutdown::{Stage, Tasks};

/// Queries of rules under way at once, over all rules.
const UNDER_WAY_MAX: usize = 2;
/// Answers on their way into the intake. At the bound an evaluation has failed.
const ANSWERS_BOUND: usize = 64;

/// Starts asking for the rules in force, whichever they become.
pub(super) fn spawn(
    storage: &Storage,
    rules: watch::Receiver<Arc<Rules>>,
    intake: Intake,
    tasks: &mut Tasks,
    metrics: &Arc<Metrics>,
    health: &Arc<Health>,
) {
    let (found, answers) = mpsc::channel(ANSWERS_BOUND);
    let (statuses, told) = watch::channel(Statuses::default());
    let (storage, metrics, health) = (storage.clone(), Arc::clone(metrics), Arc::clone(health));
    let lane = Lane {
        storage,
        metrics,
        found,
        statuses: Arc::new(statuses),
        under_way: Arc::new(Semaphore::new(UNDER_WAY_MAX)),
    };
    let stop = tasks.token(Stage::Ingest);
    tasks.spawn(Stage::Ingest, "rule queries", async move {
        tokio::select! {
            () = stop.cancelled() => {}
            ((), (), ()) = async {
                tokio::join!(
                    Asked::new(lane).run(rules),
                    intake.forward_probes(answers, CancellationToken::new()),
                    show(told, &health)
                )
            } => {}
        }
        Ok(())
    });
}

/// What every rule's query needs.
#[derive(Debug, Clone)]
struct Lane {
    storage: Storage,
    metrics: Arc<Metrics>,
    found: mpsc::Sender<Vec<Event>>,
    statuses: Arc<watch::Sender<Statuses>>,
    under_way: Arc<Semaphore>,
}

/// The queries that are asked now, a task each: a rule's query is never asked twice at a time.
#[derive(Debug)]
struct Asked {
    lane: Lane,
    tasks: JoinSet<()>,
    running: BTreeMap<AlertName, (QueryRuleSpec, AbortHandle)>,
}

impl Asked {
    fn new(lane: Lane) -> Self {
        Self { lane, tasks: JoinSet::new(), running: BTreeMap::new() }
    }

    async fn run(mut self, mut rules: watch::Receiver<Arc<Rules>>) {
        loop {
            let now = queries(&rules.borrow_and_update());
            self.follow(&now);
            tokio::select! {
                changed = rules.changed() => if changed.is_err() {
                    // Who reads rules has ended: the service is ending.
                    return std::future::pending().await;
                },
                Some(ended) = self.tasks.join_next() => {
                    // A panic is a mistake of ours: it must not go on missing unseen.
                    if let Err(error) = ended && let Ok(panic) = error.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }
    }

    /// Asks what is new, and nothing any more that is gone or another question now.
    fn follow(&mut self, rules: &BTreeMap<AlertName, QueryRuleSpec>) {
        let stays =
            |alert: &AlertName, spec: &QueryRuleSpec| rules.get(alert).is_some_and(|new| new.asks_the_same(spec));
        let gone: Vec<AlertName> =
            self.running.iter().filter(|(alert, (spec, _))| !stays(alert, spec)).map(|(alert, _)| *alert).collect();
        for alert in gone {
            if let Some((_, task)) = self.running.remove(&alert) {
                task.abort();
            }
            let failing = self.lane.statuses.borrow().failures_in_a_row(alert) > 0;
            self.lane.statuses.send_modify(|statuses| statuses.remove(alert));
            if failing {
                // Nobody asks any more: nothing fails. What finds no room is forgotten with the source, later.
                let _ = self.lane.found.try_send(answer::of_failures(alert, clock::now(), None, 0));
            }
        }
        for (alert, spec) in rules {
            if !self.running.contains_key(alert) {
                let keeper = Keeper::new(*alert, spec, &self.lane);
                let task = self.tasks.spawn(keeper.run());
                self.running.insert(*alert, (spec.clone(), task));
            }
        }
    }
}

/// What is asked, by alert: rules of one alert ask the same.
fn queries(rules: &Rules) -> BTreeMap<AlertName, QueryRuleSpec> {
    rules.rules.iter().filter_map(|rule| Some((rule.alert, rule.query()?.clone()))).collect()
}
