//! An HTTP proxy before ClickHouse that refuses, delays and swallows: what insert statements go through in an outage.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to insert statements; everything else passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserts {
    /// They pass.
    Pass,
    /// Every second one is refused with this error code of ClickHouse.
    Refuse(u16),
    /// Every second one is done, and the connection breaks before the answer.
    LoseAnswers,
    /// All are done, and nobody is told until this mode ends; then the connection breaks.
    HoldAnswers,
    /// Those into this table wait until this mode ends, and are done then, whoever sent them.
    HoldBefore(&'static str),
}

/// A proxy on a port of its own.
pub struct FaultProxy {
    pub url: String,
    mode: watch::Sender<Inserts>,
    held: watch::Receiver<u64>,
}

#[derive(Clone)]
struct Faults {
    target: String,
    mode: watch::Receiver<Inserts>,
    held: watch::Sender<u64>,
    number: Arc<AtomicU64>,
}

impl FaultProxy {
    /// Starts a proxy for the server at `url` (`http://host:port`).
    pub async fn start(url: &str) -> Self {
        let target = url.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (mode, mode_now) = watch::channel(Inserts::Pass);
        let (held, held_now) = watch::channel(0);
        let faults = Faults { target, mode: mode_now, held, number: Arc::default() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let faults = faults.clone();
                // A connection that breaks is what the other side is to see.
                tokio::spawn(async move { faults.serve(client).await });
            }
        });
        Self { url, mode, held: held_now }
    }

    /// From now on.
    pub fn set(&self, mode: Inserts) {
        self.mode.send_replace(mode);
    }

    /// How many inserts were held so far.
    pub fn held(&self) -> u64 {
        *self.held.borrow()
    }
}

impl Faults {
    async fn serve(mut self, client: TcpStream) -> io::Result<()> {
        let mut client = BufReader::new(client);
        let mut server: Option<BufReader<TcpStream>> = None;
        loop {
            let Some(request) = read_message(&mut client).await? else { return Ok(()) };
            let line = request.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let line = String::from_utf8_lossy(line).into_owned();
            let mode = if line.contains("INSERT") { *self.mode.borrow_and_update() } else { Inserts::Pass };
            let is_second = self.number.fetch_add(1, Ordering::Relaxed) % 2 == 1;
            match mode {
                Inserts::Refuse(code) if is_second => {
                    client.get_mut().write_all(refusal(code).as_bytes()).await?;
                    continue;
                }
                Inserts::HoldBefore(table) if line.contains(&format!(".{table}")) => self.hold(mode).await,
                _ => {}
            }
            if server.is_none() {
                server = Some(BufReader::new(TcpStream::connect(&self.target).await?));
            }
            let to = server.as_mut().unwrap();
            to.get_mut().write_all(&request).await?;
            let Some(answer) = read_message(to).await? else { return Ok(()) };
            match mode {
                Inserts::LoseAnswers if is_second => return Ok(()),
                Inserts::HoldAnswers => {
                    self.hold(mode).await;
                    return Ok(());
                }
                _ => client.get_mut().write_all(&answer).await?,
            }
        }
    }

    async fn hold(&mut self, mode: Inserts) {
        self.held.send_modify(|held| *held += 1);
        // The sender lives as long as the proxy.
        let _ = self.mode.wait_for(|now| *now != mode).await;
    }
}

fn refusal(code: u16) -> String {
    let name = if code == 252 { "TOO_MANY_PARTS" } else { "MEMORY_LIMIT_EXCEEDED" };
    let body = format!("Code: {code}. DB::Exception: refused by the test. ({name})\n");
    format!(
        "HTTP/1.1 500 Internal Server Error\r\nX-ClickHouse-Exception-Code: {code}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A whole request or answer as it came, head and body; `None` when the other side has closed in between.
async fn read_message(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    let (mut length, mut is_chunked) = (0, false);
    loop {
        let start = message.len();
        if from.read_until(b'\n', &mut message).await? == 0 {
            return if start == 0 { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
        }
        let line = String::from_utf8_lossy(&message[start..]).to_ascii_lowercase();
        match line.trim_end().split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().map_err(|_| ErrorKind::InvalidData)?,
            Some(("transfer-encoding", value)) => is_chunked = value.contains("chunked"),
            _ if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    if !is_chunked {
        read_exactly(from, length, &mut message).await?;
        return Ok(Some(message));
    }
    loop {
        let start = message.len();
        from.read_until(b'\n', &mut message).await?;
        let size = String::from_utf8_lossy(&message[start..]).trim_end().to_owned();
        let size = usize::from_str_radix(&size, 16).map_err(|_| ErrorKind::InvalidData)?;
        // The chunk and the line's end after it; trailers are not used by either side.
        read_exactly(from, size + 2, &mut message).await?;
        if size == 0 {
            return Ok(Some(message));
        }
    }
}

async fn read_exactly(from: &mut (impl AsyncBufRead + Unpin), length: usize, message: &mut Vec<u8>) -> io::Result<()> {
    let start = message.len();
    message.resize(start + length, 0);
    from.read_exact(&mut message[start..]).await.map(|_| ())
}
