//! Each kind of fault by itself, at the moment where it hurts most.

use std::time::Duration;

use floodmark::store::ClickHouse;
use serde::Deserialize;

use crate::proxy::Inserts;
use crate::schedule::{Fault, LONGER_THAN_A_SESSION_MS};
use crate::support::service::until;
use crate::trial::{Trial, assert_sound};
use crate::world::with_world;

/// Records of a trial, and how many a second.
const RECORDS: u64 = 5_000;
const RECORDS_PER_SECOND: u64 = 1_500;
const LONGER_THAN_A_SESSION: Duration = Duration::from_millis(LONGER_THAN_A_SESSION_MS);
/// The end of reading waits for storage for 4 s.
const LONGER_THAN_READING_WAITS: Duration = Duration::from_secs(5);
const ROWS: &str = "SELECT count() AS number FROM {database}.requests";

#[derive(Deserialize)]
struct Number {
    number: u64,
}

async fn rows(clickhouse: &ClickHouse) -> u64 {
    let rows: Vec<Number> = clickhouse.fetch(ROWS, &[]).await.unwrap_or_default();
    rows.first().map_or(0, |row| row.number)
}

/// `members` at work, then `faults`, and the reckoning.
fn through(members: usize, faults: impl AsyncFnOnce(&mut Trial<'_>)) {
    with_world(async |world| {
        let mut trial = Trial::new(world, 0, members).await;
        trial.start_members().await;
        let feed = trial.feed(RECORDS, RECORDS_PER_SECOND);
        until("rows are stored", async || (rows(&trial.clickhouse).await > 0).then_some(())).await;
        faults(&mut trial).await;
        trial.world.heal().await;
        feed.finished().await;
        assert_sound(&trial.reckon().await);
    });
}

/// One fault for as long as `lasts`.
fn through_one(members: usize, fault: Fault, lasts: Duration) {
    through(members, async |trial| {
        trial.begin(fault).await;
        tokio::time::sleep(lasts).await;
        trial.end(fault).await;
    });
}

/// Waits until the proxy holds an insert more than before.
async fn hold_one(trial: &mut Trial<'_>, mode: Inserts) {
    let before = trial.world.proxy.held();
    trial.world.proxy.set(mode);
    until("an insert is held", async || (trial.world.proxy.held() > before).then_some(())).await;
}

/// The only member is killed while an insert is held in this way, and started again before or after the insert goes on.
fn killed_while(mode: Inserts, goes_on_first: bool) {
    through(1, async |trial| {
        hold_one(trial, mode).await;
        trial.begin(Fault::KillMember(0)).await;
        if goes_on_first {
            trial.world.proxy.set(Inserts::Pass);
        }
        trial.end(Fault::KillMember(0)).await;
        trial.world.proxy.set(Inserts::Pass);
    });
}

#[test]
fn without_a_fault() {
    through(2, async |_| {});
}

#[test]
fn killed_between_an_insert_and_its_answer() {
    killed_while(Inserts::HoldAnswers, true);
}

#[test]
fn killed_between_the_raw_rows_and_the_rollup() {
    killed_while(Inserts::HoldBefore("requests_by_minute"), true);
}

#[test]
fn killed_between_the_rows_and_the_ledger() {
    killed_while(Inserts::HoldBefore("ingest_ledger"), true);
}

#[test]
fn an_insert_of_a_killed_member_arrives_after_its_successor_has_started() {
    killed_while(Inserts::HoldBefore("requests"), false);
}

#[test]
fn killed_again_and_again() {
    through(1, async |trial| {
        for _ in 0..5 {
            trial.begin(Fault::KillMember(0)).await;
            trial.end(Fault::KillMember(0)).await;
        }
    });
}

#[test]
fn a_killed_member_is_replaced_by_another() {
    through_one(2, Fault::KillMember(0), LONGER_THAN_A_SESSION);
}

#[test]
fn members_leave_and_join() {
    through(3, async |trial| {
        for member in [0, 1, 2, 0] {
            trial.begin(Fault::MemberLeaves(member)).await;
            trial.end(Fault::MemberLeaves(member)).await;
        }
    });
}

#[test]
fn a_zombie_wakes_up_after_its_partitions_were_given_away() {
    through_one(2, Fault::FreezeMember(0), LONGER_THAN_A_SESSION);
}

#[test]
fn an_insert_of_a_zombie_arrives_after_its_partitions_were_given_away() {
    through(2, async |trial| {
        hold_one(trial, Inserts::HoldBefore("requests")).await;
        trial.begin(Fault::FreezeMember(0)).await;
        tokio::time::sleep(LONGER_THAN_A_SESSION).await;
        trial.world.proxy.set(Inserts::Pass);
        trial.end(Fault::FreezeMember(0)).await;
    });
}

#[test]
fn the_broker_is_killed_and_started_again() {
    through_one(2, Fault::KillKafka, Duration::ZERO);
}

#[test]
fn the_broker_is_restarted_in_order() {
    through(2, async |trial| {
        tokio::task::block_in_place(|| trial.world.kafka.stop());
        trial.world.start_kafka_again();
    });
}

#[test]
fn clickhouse_is_killed() {
    through(1, async |trial| {
        for _ in 0..2 {
            trial.begin(Fault::KillClickHouse).await;
            trial.world.heal().await;
        }
    });
}

#[test]
fn clickhouse_stands_still_for_longer_than_a_session() {
    through_one(2, Fault::FreezeClickHouse, LONGER_THAN_A_SESSION);
}

#[test]
fn clickhouse_answers_again_after_reading_has_ended() {
    through(1, async |trial| {
        hold_one(trial, Inserts::HoldBefore("requests")).await;
        // Meanwhile further batches are handed over.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let Trial { world, members, .. } = trial;
        let answers_again = async {
            tokio::time::sleep(LONGER_THAN_READING_WAITS).await;
            world.proxy.set(Inserts::Pass);
        };
        let (problem, ()) = tokio::join!(members[0].stop(), answers_again);
        assert_eq!(problem, None);
    });
}

#[test]
fn clickhouse_is_out_of_memory() {
    through_one(1, Fault::Inserts(Inserts::Refuse(241)), Duration::from_secs(2));
}

#[test]
fn clickhouse_has_too_many_parts() {
    through_one(1, Fault::Inserts(Inserts::Refuse(252)), Duration::from_secs(2));
}

#[test]
fn answers_of_inserts_are_lost() {
    through_one(1, Fault::Inserts(Inserts::LoseAnswers), Duration::from_secs(2));
}
