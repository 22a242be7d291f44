//! One trial: topics, a group and a database of its own, records, faults, and the reckoning at the end.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use floodmark::config::{KafkaConfig, Span, TopicsConfig};
use floodmark::store::ClickHouse;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::Instant;

use crate::checks;
use crate::feed::Feed;
use crate::members::Member;
use crate::schedule::{Fault, Planned};
use crate::support::clickhouse::client;
use crate::support::kafka::client_properties;
use crate::world::World;

/// Partitions of the topic of requests.
pub const PARTITIONS: i32 = 4;
/// A statement without an answer for this long is sent again: shorter than what a frozen ClickHouse is frozen for.
const CLICKHOUSE_TIMEOUT: Span = Span::from_millis(3_000);
/// How long after the last fault everything is stored and committed.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// A trial.
pub struct Trial<'a> {
    pub world: &'a mut World,
    pub kafka: KafkaConfig,
    pub members: Vec<Member>,
    pub clickhouse: ClickHouse,
    pub seed: u64,
    /// How the members and the producer reach Kafka; the reckoning uses the plain listener.
    connection: KafkaConfig,
    sent: u64,
    /// What went wrong on the way.
    problems: Vec<String>,
}

impl<'a> Trial<'a> {
    /// Makes topics, a group of `members` and a database.
    pub async fn new(world: &'a mut World, seed: u64, members: usize) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("t_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let topic = |kind: &str| format!("{name}.{kind}");
        let topics = TopicsConfig {
            requests: topic("requests"),
            signals: topic("signals"),
            changes: topic("changes"),
            dead_letters: topic("dead-letters"),
        };
        let kafka = KafkaConfig {
            brokers: world.kafka.address(),
            group: name.clone(),
            topics,
            properties: client_properties(),
            ..KafkaConfig::default()
        };
        let topics = &kafka.topics;
        world
            .kafka
            .create_topics(&[
                (&topics.requests, PARTITIONS),
                (&topics.signals, 1),
                (&topics.changes, 1),
                (&topics.dead_letters, 1),
            ])
            .await
            .unwrap();
        let clickhouse = client(world.clickhouse_url(), &world.users.admin, &name);
        let members = (0..members).map(|_| Member::new(world, &kafka, &name, CLICKHOUSE_TIMEOUT)).collect();
        Self { world, connection: kafka.clone(), kafka, members, clickhouse, seed, sent: 0, problems: Vec::new() }
    }

    /// Members that start from now on, and the producer, reach Kafka like this.
    pub fn connect_by(&mut self, connection: KafkaConfig) {
        self.members.iter_mut().for_each(|member| member.connect_by(&connection));
        self.connection = connection;
    }

    /// Starts every member that does not run.
    pub async fn start_members(&mut self) {
        for member in &mut self.members {
            member.start().await;
        }
    }

    /// Begins to send the next `count` records, `per_second` of them.
    pub fn feed(&mut self, count: u64, per_second: u64) -> Feed {
        let numbers = self.sent..self.sent + count;
        self.sent += count;
        Feed::start(&self.connection, self.seed, numbers, per_second)
    }

    /// Lets the faults happen at their times, counted from now.
    pub async fn suffer(&mut self, faults: &[Planned]) {
        let begun = Instant::now();
        let mut steps: Vec<(Duration, bool, Fault)> =
            faults.iter().flat_map(|p| [(p.begin, true, p.fault), (p.end, false, p.fault)]).collect();
        // Stable: a fault begins before it ends.
        steps.sort_by_key(|(at, ..)| *at);
        for (at, begins, fault) in steps {
            tokio::time::sleep_until(begun + at).await;
            if begins { self.begin(fault).await } else { self.end(fault).await }
        }
    }

    /// Begins a fault.
    pub async fn begin(&mut self, fault: Fault) {
        match fault {
            Fault::KillMember(member) => self.members[member].kill_9(),
            Fault::MemberLeaves(member) => self.stop(member).await,
            Fault::FreezeMember(member) => self.members[member].freeze(),
            Fault::KillKafka => self.world.kafka.kill_9(),
            Fault::KillClickHouse => self.world.kill_clickhouse().await,
            Fault::FreezeClickHouse => self.world.freeze_clickhouse().await,
            Fault::Inserts(mode) => self.world.proxy.set(mode),
        }
    }

    /// Ends it.
    pub async fn end(&mut self, fault: Fault) {
        match fault {
            Fault::KillMember(member) | Fault::MemberLeaves(member) => self.members[member].start().await,
            Fault::FreezeMember(member) => self.members[member].thaw(),
            Fault::KillKafka => self.world.start_kafka_again(),
            Fault::KillClickHouse => {}
            Fault::FreezeClickHouse => self.world.thaw_clickhouse(),
            Fault::Inserts(_) => self.world.proxy.set(crate::proxy::Inserts::Pass),
        }
    }

    /// With all faults over: waits until everything is committed, ends the members, and gives everything that is wrong.
    pub async fn reckon(mut self) -> Vec<String> {
        self.world.heal().await;
        self.start_members().await;
        let mut problems: Vec<String> = self.settle().await.err().into_iter().collect();
        for member in 0..self.members.len() {
            self.stop(member).await;
        }
        problems.append(&mut self.problems);
        problems.extend(self.uncommitted().map(|state| format!("not committed after the end: {state}")));
        let sent = self.sent;
        problems.extend(checks::all(&self.kafka, &self.clickhouse, self.seed, sent).await);
        let (holds, said) = self.members[0].command(&["ledger", "verify"]).await;
        if !holds {
            problems.push(format!("`floodmark ledger verify` fails: {said}"));
        }
        problems.extend(self.members.iter().filter_map(Member::memory_problem));
        if !problems.is_empty() {
            for (number, member) in self.members.iter().enumerate() {
                member.told().iter().for_each(|line| eprintln!("  member {number}: {line}"));
            }
        }
        problems
    }

    async fn stop(&mut self, member: usize) {
        let problem = self.members[member].stop().await;
        self.problems.extend(problem);
    }

    async fn settle(&self) -> Result<(), String> {
        let deadline = Instant::now() + SETTLED_WITHIN;
        while let Some(state) = tokio::task::block_in_place(|| self.uncommitted()) {
            if Instant::now() > deadline {
                return Err(format!("not everything is committed within {SETTLED_WITHIN:?}: {state}"));
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }

    /// Partitions of requests whose committed offset is not their end; `None` when there is none.
    fn uncommitted(&self) -> Option<String> {
        const TIMEOUT: Duration = Duration::from_secs(5);
        let topic = &self.kafka.topics.requests;
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.kafka.brokers).set("group.id", &self.kafka.group);
        let looker: BaseConsumer = config.create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, PARTITIONS - 1);
        let committed = match looker.committed_offsets(list, TIMEOUT) {
            Ok(committed) => committed,
            Err(error) => return Some(error.to_string()),
        };
        let mut behind = Vec::new();
        for partition in committed.elements() {
            match looker.fetch_watermarks(topic, partition.partition(), TIMEOUT) {
                Ok((_, end)) if partition.offset() == Offset::Offset(end) => {}
                Ok((_, 0)) => {}
                end => behind.push(format!("[{}] {:?} of {end:?}", partition.partition(), partition.offset())),
            }
        }
        (!behind.is_empty()).then(|| behind.join(", "))
    }
}

/// Fails with everything that is wrong, if anything is.
#[track_caller]
pub fn assert_sound(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}
