//! A small HTTP client that costs as little as possible: one connection, one query at a time, the answer thrown away.

use base64::Engine as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection that is kept alive.
pub struct Connection {
    stream: TcpStream,
    host: String,
    authorization: String,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects as a user.
    pub async fn open(address: &str, user: &str, password: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let authorization = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        Ok(Self { stream, host: address.to_owned(), authorization, buffer: Vec::with_capacity(1 << 20) })
    }

    /// Asks, and reads the whole answer: its length on the wire, in bytes.
    pub async fn query(&mut self, sql: &str) -> Result<u64, Box<dyn std::error::Error>> {
        self.query_at("/", sql).await
    }

    /// The same at a path with parameters.
    pub async fn query_at(&mut self, path: &str, sql: &str) -> Result<u64, Box<dyn std::error::Error>> {
        // Without a word on encodings chproxy asks ClickHouse for gzip and unpacks it.
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {}\r\nAccept-Encoding: identity\r\nContent-Length: {}\r\n\r\n{sql}",
            self.host,
            self.authorization,
            sql.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        let head_end = loop {
            self.read().await?;
            if let Some(at) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_end]).to_ascii_lowercase();
        if !head.starts_with("http/1.1 200") {
            return Err(String::from_utf8_lossy(&self.buffer).into_owned().into());
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<u64>().ok());
        let mut read = (self.buffer.len() - head_end) as u64;
        // Without a length it comes in chunks; the last one is empty, and nothing else ends like it.
        while length.map_or_else(|| !self.buffer.ends_with(b"0\r\n\r\n"), |length| read < length) {
            let kept = self.buffer.len().min(8);
            self.buffer.drain(..self.buffer.len() - kept);
            read += self.read().await? as u64;
        }
        Ok(read)
    }

    async fn read(&mut self) -> std::io::Result<usize> {
        let read = self.stream.read_buf(&mut self.buffer).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(read)
    }
}
