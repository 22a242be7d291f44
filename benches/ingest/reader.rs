//! The two ceilings: reading alone, and reading and parsing, in a process of their own.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use floodmark::config::{DecodeConfig, Format};
use floodmark::decode::Decoder;
use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::contender::{Outcome, now};
use crate::process::{cpu, peak_memory_bytes};
use crate::{Arena, PARTITIONS};

/// A reader that gets nothing for this long has failed.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Runs this program again as a reader.
pub fn measure(arena: &Arena, parse: bool) -> Outcome {
    let name = if parse { "fetch and parse" } else { "fetch only" };
    eprintln!("{name}");
    run(arena, name, parse).unwrap_or_else(|error| Outcome::absent(name, error.to_string()))
}

fn run(arena: &Arena, name: &'static str, parse: bool) -> anyhow::Result<Outcome> {
    let broker = cpu(arena.broker_pid);
    let (records, parse) = (arena.records.to_string(), if parse { "parse" } else { "fetch" });
    let output = Command::new(std::env::current_exe()?)
        .args(["--read", &arena.brokers, &records, parse])
        .stderr(Stdio::inherit())
        .output()?;
    anyhow::ensure!(output.status.success(), "the reader failed: {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<u64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [elapsed_us, cpu_us, memory] = numbers[..] else { anyhow::bail!("the reader said {text}") };
    Ok(Outcome {
        name,
        records_per_second: arena.records as f64 / (elapsed_us as f64 / 1e6),
        own_cpu: Some(Duration::from_micros(cpu_us)),
        broker_cpu: cpu(arena.broker_pid).saturating_sub(broker),
        peak_memory_bytes: Some(memory),
        ..Outcome::default()
    })
}

/// The reader: prints microseconds from the first record to the last, of CPU, and bytes of memory.
pub fn main(arguments: &[String]) -> anyhow::Result<()> {
    let [brokers, records, parse] = arguments else { anyhow::bail!("--read BROKERS RECORDS fetch|parse") };
    let records: u64 = records.parse()?;
    let decoder = (parse == "parse").then(|| Decoder::new(Format::Native, &DecodeConfig::default()));
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bench-reader")
        .set("enable.auto.commit", "false")
        .set("queued.max.messages.kbytes", "65536")
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset("requests", partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let (mut read, mut events, mut first) = (0, 0, now());
    while read < records {
        let message = consumer.poll(SILENCE_MAX).context("no record came")??;
        if read == 0 {
            first = now();
        }
        read += 1;
        if let Some(decoder) = &decoder {
            decoder
                .decode(message.payload().unwrap_or_default(), &mut |_, decoded| events += u64::from(decoded.is_ok()));
        }
    }
    anyhow::ensure!(decoder.is_none() || events == records, "{events} of {records} records were accepted");
    let elapsed = now().duration_since(first);
    let own = std::process::id();
    println!("{} {} {}", elapsed.as_micros(), cpu(own).as_micros(), peak_memory_bytes(own));
    Ok(())
}
