//! The public: threads with a connection each that is kept alive, and what each answer took.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

/// Connections of the steady load; its requests take turns on them. Many, so that one slow answer holds up few others.
pub const CONNECTIONS: u32 = 32;
/// An answer that takes longer is an error.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What the answers took.
#[derive(Debug, Default)]
pub struct Answers {
    took: Vec<Duration>,
    /// Requests without a whole answer of status 200.
    pub errors: u64,
    lasted: Duration,
    is_sorted: bool,
}

impl Answers {
    /// Answered requests.
    pub fn count(&self) -> usize {
        self.took.len()
    }

    pub fn per_second(&self) -> f64 {
        self.took.len() as f64 / self.lasted.as_secs_f64()
    }

    /// The exact time within which this share of the answers came.
    pub fn ms(&mut self, share: f64) -> f64 {
        if !self.is_sorted {
            self.took.sort_unstable();
            self.is_sorted = true;
        }
        let place = (self.took.len() as f64 * share).ceil() as usize;
        self.took.get(place.saturating_sub(1)).map_or(f64::NAN, |took| took.as_secs_f64() * 1e3)
    }
}

#[allow(clippy::disallowed_methods)] // a benchmark reads the clock
fn now() -> Instant {
    Instant::now()
}

/// Asks at a steady rate. A request that is due while the one before it on its connection is not answered is sent late,
/// and its time counts from when it was due.
pub fn ask_steadily(address: SocketAddr, path: &'static str, per_second: u32, length: Duration) -> Result<Answers> {
    let pause = Duration::from_secs(1) / per_second;
    let requests = length.as_millis() as u32 * per_second / 1_000;
    // Connections are made first.
    let start = now() + Duration::from_millis(500);
    let asking: Vec<_> = (0..CONNECTIONS)
        .map(|first| {
            std::thread::spawn(move || -> Result<Answers> {
                let mut connection = Connection::open(address, path)?;
                let mut answers = Answers::default();
                for number in (first..requests).step_by(CONNECTIONS as usize) {
                    let due = start + pause * number;
                    std::thread::sleep(due.saturating_duration_since(now()));
                    match connection.ask() {
                        Ok(_) => answers.took.push(now() - due),
                        Err(_) => {
                            answers.errors += 1;
                            connection = Connection::open(address, path)?;
                        }
                    }
                }
                Ok(answers)
            })
        })
        .collect();
    let mut all = Answers::default();
    for one in asking {
        let answers = one.join().map_err(|_| anyhow::anyhow!("a thread of the load has panicked"))??;
        all.took.extend(answers.took);
        all.errors += answers.errors;
    }
    all.lasted = now() - start;
    Ok(all)
}

/// Asks again as soon as it is answered, on one connection.
pub fn ask_in_turn(address: SocketAddr, path: &str, requests: u32) -> Result<Answers> {
    let mut connection = Connection::open(address, path)?;
    let (start, mut answers) = (now(), Answers::default());
    for _ in 0..requests {
        let asked = now();
        match connection.ask() {
            Ok(_) => answers.took.push(now() - asked),
            Err(_) => {
                answers.errors += 1;
                connection = Connection::open(address, path)?;
            }
        }
    }
    answers.lasted = now() - start;
    Ok(answers)
}

/// One body, whatever the status.
pub fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut connection = Connection::open(address, path)?;
    let (_, body) = connection.exchange()?;
    Ok(body)
}

/// A connection on which the same is asked again and again.
struct Connection {
    stream: TcpStream,
    request: String,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr, path: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        Ok(Self { stream, request, buffer: Vec::with_capacity(1 << 16) })
    }

    fn ask(&mut self) -> Result<()> {
        let (status, body) = self.exchange()?;
        ensure!(status == 200 && body.starts_with(['{', '<']), "status {status}");
        Ok(())
    }

    /// Status and body of a whole answer.
    fn exchange(&mut self) -> Result<(u16, String)> {
        self.stream.write_all(self.request.as_bytes())?;
        self.buffer.clear();
        let head_end = loop {
            self.read()?;
            if let Some(at) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
        let length = length.context("an answer without a length")?;
        while self.buffer.len() < head_end + length {
            self.read()?;
        }
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        Ok((status, String::from_utf8_lossy(&self.buffer[head_end..]).into_owned()))
    }

    fn read(&mut self) -> Result<()> {
        let mut part = [0; 16_384];
        let count = self.stream.read(&mut part)?;
        ensure!(count > 0, "the connection was closed");
        self.buffer.extend_from_slice(&part[..count]);
        Ok(())
    }
}
