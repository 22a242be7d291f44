//! Which fault happens when: random, and always the same for a seed.

use std::fmt;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::proxy::Inserts;

/// Faults of a schedule.
const FAULTS: usize = 6;
/// Faults begin within this time.
const BEGIN_WITHIN_MS: u64 = 7_000;
/// Longer than the session timeout of the members: the group gives their partitions away.
pub const LONGER_THAN_A_SESSION_MS: u64 = 4_500;

/// A fault, from its beginning to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This member is killed, and started again.
    KillMember(usize),
    /// This member leaves in order, and joins again.
    MemberLeaves(usize),
    /// This member is a zombie.
    FreezeMember(usize),
    /// Kafka is killed, and started again.
    KillKafka,
    /// ClickHouse is killed; its supervisor starts it again.
    KillClickHouse,
    /// ClickHouse accepts connections and does nothing.
    FreezeClickHouse,
    /// Inserts suffer.
    Inserts(Inserts),
}

/// A fault with its time.
#[derive(Debug, Clone, Copy)]
pub struct Planned {
    pub fault: Fault,
    pub begin: Duration,
    pub end: Duration,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s to {:.2} s: {:?}", self.begin.as_secs_f64(), self.end.as_secs_f64(), self.fault)
    }
}

impl Fault {
    /// Two faults of the same thing do not overlap.
    fn strikes_the_same_as(self, other: Self) -> bool {
        match (self, other) {
            (
                Self::KillMember(a) | Self::MemberLeaves(a) | Self::FreezeMember(a),
                Self::KillMember(b) | Self::MemberLeaves(b) | Self::FreezeMember(b),
            ) => a == b,
            (Self::KillClickHouse | Self::FreezeClickHouse, Self::KillClickHouse | Self::FreezeClickHouse) => true,
            _ => std::mem::discriminant(&self) == std::mem::discriminant(&other),
        }
    }
}

/// How many members the group of `seed` has.
pub fn members(seed: u64) -> usize {
    1 + usize::try_from(seed % 3).unwrap()
}

/// The faults of `seed`, by their beginning.
pub fn schedule(seed: u64) -> Vec<Planned> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut planned: Vec<Planned> = Vec::new();
    while planned.len() < FAULTS {
        let next = plan(&mut random, members(seed));
        let overlaps = |other: &&Planned| other.begin <= next.end && next.begin <= other.end;
        if !planned.iter().filter(overlaps).any(|other| other.fault.strikes_the_same_as(next.fault)) {
            planned.push(next);
        }
    }
    planned.sort_by_key(|planned| planned.begin);
    planned
}

fn plan(random: &mut ChaCha8Rng, members: usize) -> Planned {
    let mut below = |end: u64| random.next_u64() % end;
    let begin = 500 + below(BEGIN_WITHIN_MS);
    let member = usize::try_from(below(members as u64)).unwrap();
    let (fault, lasts) = match below(16) {
        0..=3 => (Fault::KillMember(member), below(1_500)),
        4..=5 => (Fault::MemberLeaves(member), below(2_000)),
        6..=7 => (Fault::FreezeMember(member), LONGER_THAN_A_SESSION_MS + below(1_500)),
        8 => (Fault::KillKafka, below(1_000)),
        9..=10 => (Fault::KillClickHouse, 0),
        11 => (Fault::FreezeClickHouse, LONGER_THAN_A_SESSION_MS),
        12 => (Fault::Inserts(Inserts::Refuse(241)), 500 + below(2_500)),
        13 => (Fault::Inserts(Inserts::Refuse(252)), 500 + below(2_500)),
        14 => (Fault::Inserts(Inserts::HoldAnswers), 300 + below(2_000)),
        _ => (Fault::Inserts(Inserts::LoseAnswers), 500 + below(2_500)),
    };
    Planned { fault, begin: Duration::from_millis(begin), end: Duration::from_millis(begin + lasts) }
}
