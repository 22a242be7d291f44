//! Random faults. `FLOODMARK_DELIVERY_SEED=n` runs one seed again, `FLOODMARK_DELIVERY_SEEDS=n` the first n.

use tokio::time::Instant;

use crate::schedule::{members, schedule};
use crate::trial::{Trial, assert_sound};
use crate::world::{World, with_world};

/// Seeds that run when nothing else is said.
const SEEDS: u64 = 20;
/// Records of a seed, and how many a second: a little longer than the faults last.
const RECORDS: u64 = 12_000;
const RECORDS_PER_SECOND: u64 = 1_200;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

#[test]
fn random_faults_lose_nothing_and_repeat_nothing() {
    let seeds = match from_environment("FLOODMARK_DELIVERY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..from_environment("FLOODMARK_DELIVERY_SEEDS").unwrap_or(SEEDS),
    };
    let mut problems = Vec::new();
    for seed in seeds {
        let found = with_world(async |world| run(world, seed).await);
        problems.extend(found.into_iter().map(|problem| format!("FLOODMARK_DELIVERY_SEED={seed}: {problem}")));
    }
    assert_sound(&problems);
}

async fn run(world: &mut World, seed: u64) -> Vec<String> {
    let begun = Instant::now();
    let faults = schedule(seed);
    // Shown when the test fails.
    eprintln!("seed {seed}, members: {}", members(seed));
    faults.iter().for_each(|fault| eprintln!("  {fault}"));
    let mut trial = Trial::new(world, seed, members(seed)).await;
    trial.start_members().await;
    let feed = trial.feed(RECORDS, RECORDS_PER_SECOND);
    trial.suffer(&faults).await;
    trial.world.heal().await;
    feed.finished().await;
    let problems = trial.reckon().await;
    eprintln!(
        "seed {seed}: {:.1} s, {}",
        begun.elapsed().as_secs_f64(),
        if problems.is_empty() { "sound" } else { "NOT SOUND" }
    );
    problems.iter().for_each(|problem| eprintln!("  {problem}"));
    problems
}
